// The top of the page: who one is, how the connection is, and links to be somebody else in another tab.

import { avatar, h, icon, setAttribute, setText } from "./dom.js";
import { hue, initials } from "./text.js";

const STATES = {
  connecting: "Connecting…",
  online: "Connected",
  offline: "Offline",
  ended: "Signed out",
};

export class HeaderView {
  #status;
  #statusText;

  constructor(app, { users, user }) {
    this.#statusText = h("span", { class: "status-text" });
    const dot = h("span", { class: "status-dot", "aria-hidden": "true" });
    this.#status = h("p", { class: "status", role: "status" }, dot, this.#statusText);
    const me = document.querySelector(".me");
    me.append(
      h("div", { class: "me-name" },
        h("p", { class: "me-who", text: user.name, title: `Signed in as ${user.id}` }), this.#status),
      avatar(user.id, { initials: initials(user.name), hue: hue(user.id) }),
    );
    me.hidden = false;
    drawOthers(users.filter((each) => each.id !== user.id));
  }

  draw(state) {
    setAttribute(this.#status, "data-state", state.link.state);
    setAttribute(this.#status, "title", state.link.detail || null);
    setText(this.#statusText, STATES[state.link.state]);
  }
}

function drawOthers(others) {
  if (!others.length) return;
  document.querySelector(".others").append(
    h("span", { class: "others-label", text: "Open as" }),
    ...others.map((user) => h("a", {
      class: "chip", href: `/play?as=${encodeURIComponent(user.id)}`, target: "_blank", rel: "noopener",
      "aria-label": `Open as ${user.name} in a new tab`, title: `Open as ${user.name} in a new tab`,
    }, h("span", { text: user.name }), icon("out"))),
    h("a", {
      class: "chip", href: "/play/phones", target: "_blank", rel: "noopener",
      "aria-label": "Phones of the demo users, in a new tab", title: "What push notifications look like, in a new tab",
    }, h("span", { text: "Phones" }), icon("out")),
  );
}

/** The page before anybody is signed in: pick who to be. `asked` is who the address names, if anybody. */
export function welcome(users, asked) {
  const address = (user) => `/play?as=${encodeURIComponent(user.id)}`;
  const people = users.map((user) => h("li", {}, h("a", { class: "who", href: address(user) },
    avatar(user.id, { initials: initials(user.name), hue: hue(user.id) }),
    h("span", { class: "who-name", text: user.name }),
    h("span", { class: "who-id", text: user.id }))));
  const missing = asked !== null && users.length > 0;
  const lead = users.length
    ? "Be one of the demo users here and another one in a second tab, and talk to yourself."
    : "This server has no demo users: those exist under “hubbub dev”. Applications sign their users in with tokens.";
  document.querySelector(".frame").replaceWith(h("main", { class: "welcome" },
    h("h1", { text: users.length ? "Who would you like to be?" : "Nobody to be here" }),
    missing && h("p", { class: "welcome-missing", role: "alert", text: `There is no demo user “${asked}”.` }),
    h("p", { text: lead }),
    h("ul", {}, ...people)));
}
