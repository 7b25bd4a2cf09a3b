// Starts the page of the phones.

import { PhonesLink } from "./phones-link.js";
import { newest, toAnnounce } from "./phones-text.js";
import { PhonesView } from "./view-phones.js";

const status = document.querySelector(".phones-status");
const none = document.getElementById("none");
const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit", second: "2-digit" });

const link = new PhonesLink({
  fetch: (...args) => fetch(...args),
  later: (ms, action) => setTimeout(action, ms),
  visible: () => !document.hidden,
});
const view = new PhonesView(document.getElementById("phones"), {
  turn: (phone, name) => link.turn(phone, name).catch(() => state("offline", "The server is away")),
  clock: (at) => clock.format(at),
});

let known = null;

function seen(phones) {
  view.draw(phones);
  // What was there before the page is seen, and not read out.
  if (known !== null) {
    const lines = toAnnounce(phones, known);
    if (lines.length) document.getElementById("announcer").textContent = lines.join(". ");
  }
  known = newest(phones);
}

function state(name, detail) {
  status.dataset.state = name;
  document.getElementById("status").textContent = name === "ended" ? "No phones" : detail;
  none.hidden = name !== "ended";
  if (name === "ended") none.textContent = detail.charAt(0).toUpperCase() + detail.slice(1) + ".";
}

link.run({ seen, state });
