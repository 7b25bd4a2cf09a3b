// One row of a conversation: a day, the line above new messages, or a message.

import { avatar, h, icon, setAttribute, setText } from "./dom.js";
import { hue, initials, pieces, readable } from "./text.js";

const STATUS = { pending: "Waiting to be sent", sent: "Sent", read: "Read", failed: "Not sent" };

/** How rows are drawn. `app` hears of clicks, `exact(at)` writes a moment in full. */
export function rowDrawing({ app, exact }) {
  return {
    create(row) {
      if (row.kind !== "message") return h("li", { class: `mark-${row.kind}` }, h("span"));
      return h("li", { class: "row" },
        h("p", { class: "row-name" }),
        h("div", { class: "bubble" },
          h("span", { class: "words", dir: "auto" }, ...words(row.text)),
          h("span", { class: "meta" }, h("time", { title: exact(row.at) }), h("span", { class: "tick" }))),
        h("div", { class: "row-failure" }));
    },

    update(element, row) {
      if (row.kind === "message") updateMessage(element, row, app);
      else setText(element.firstChild, row.label);
    },
  };
}

function updateMessage(element, row, app) {
  const { own, first, last, indented, status } = row;
  const states = { own, first, last, indented, [`is-${status}`]: status !== "" };
  element.className = ["row", ...Object.keys(states).filter((name) => states[name])].join(" ");
  setAttribute(element, "data-offset", row.offset || null);
  setAttribute(element, "data-status", status || null);
  const name = element.querySelector("p");
  setText(name, row.name || row.speaker);
  name.className = row.name ? `row-name hue-text-${hue(row.sender)}` : "unseen"; // who cannot see the sides is told
  setText(element.querySelector("time"), row.time);
  drawFace(element, row);
  drawTick(element.querySelector(".tick"), row);
  drawFailure(element.querySelector(".row-failure"), row, app);
}

function drawFace(element, row) {
  const face = element.querySelector(".avatar");
  if (!row.avatar) face?.remove();
  else if (!face) element.prepend(avatar(row.sender, { initials: initials(row.speaker), hue: hue(row.sender) }));
}

function drawTick(tick, { status, readBy }) {
  if (tick.dataset.status !== status) {
    tick.dataset.status = status;
    tick.replaceChildren(...(status ? [icon(status), h("span", { class: "unseen", text: STATUS[status] })] : []));
  }
  setAttribute(tick, "title", status ? readBy || STATUS[status] : null);
}

function drawFailure(place, { status, failure, outbox }, app) {
  if (status !== "failed") {
    place.replaceChildren();
    return;
  }
  place.replaceChildren(
    h("span", { role: "alert", text: `Not sent: ${readable(failure)}` }),
    h("button", { class: "plain", type: "button", text: "Try again", onclick: () => app.retry(outbox) }),
    h("button", { class: "plain", type: "button", text: "Discard", onclick: () => app.discard(outbox) }));
}

function words(text) {
  return pieces(text).map(({ text: part, href }) =>
    (href ? h("a", { href, target: "_blank", rel: "noopener noreferrer nofollow", text: part }) : part));
}
