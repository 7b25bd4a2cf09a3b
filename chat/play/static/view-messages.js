// One row of a conversation: a day, the line above new messages, or a message.

import { avatar, h, icon, setAttribute, setText } from "./dom.js";
import { attachmentView } from "./view-attachments.js";
import { count, hue, initials, pieces, readable } from "./text.js";

const STATUS = {
  pending: "Waiting to be sent", sent: "Sent", delivered: "Delivered", read: "Read", failed: "Not sent",
};

/** How rows are drawn. `app` hears of clicks, `exact(at)` writes a moment in full, `menu.open(message, button)`. */
export function rowDrawing({ app, exact, menu }) {
  return {
    create(row) {
      if (row.kind !== "message") return h("li", { class: `mark-${row.kind}` }, h("span"));
      const more = h("button", {
        class: "row-more", type: "button", "aria-label": "Actions", "aria-haspopup": "menu",
        onclick: () => more.message && menu.open(more.message, more),
      }, icon("more"));
      const element = h("li", { class: "row" },
        h("p", { class: "row-name" }),
        h("div", { class: "bubble" },
          h("p", { class: "forwarded", hidden: true }),
          h("button", { class: "quote", type: "button", hidden: true },
            h("span", { class: "quote-name" }), h("span", { class: "quote-text", dir: "auto" })),
          h("div", { class: "files" }),
          h("span", { class: "words", dir: "auto" }),
          h("span", { class: "meta" },
            icon("pin"), h("span", { class: "edited" }), h("time", { title: exact(row.at) }), h("span", { class: "tick" }))),
        more,
        h("div", { class: "chips" }),
        h("div", { class: "row-failure" }));
      element.addEventListener("contextmenu", (event) => {
        if (!more.message || event.target.closest("a") || getSelection()?.toString()) return;
        event.preventDefault();
        menu.open(more.message, more);
      });
      return element;
    },

    update(element, row) {
      if (row.kind === "message") updateMessage(element, row, app);
      else setText(element.firstChild, row.label);
    },
  };
}

function updateMessage(element, row, app) {
  const { own, first, last, indented, status, deleted, root, pinned } = row;
  const states = {
    own, first, last, indented, [`is-${status}`]: status !== "", "is-deleted": deleted, "is-root": root, "is-pinned": pinned,
  };
  element.className = ["row", ...Object.keys(states).filter((name) => states[name])].join(" ");
  setAttribute(element, "data-offset", row.offset || null);
  setAttribute(element, "data-status", status || null);
  const name = element.querySelector("p");
  setText(name, row.name || row.speaker);
  name.className = row.name ? `row-name hue-text-${hue(row.sender)}` : "unseen"; // who cannot see the sides is told
  element.querySelector(".row-more").message = row.message;
  setText(element.querySelector("time"), row.time);
  setText(element.querySelector(".edited"), row.edited && !deleted ? "edited" : "");
  drawWords(element.querySelector(".words"), row);
  drawQuote(element.querySelector(".quote"), row, app);
  drawForwarded(element.querySelector(".forwarded"), row);
  drawFiles(element.querySelector(".files"), row, app);
  drawFace(element, row);
  drawTick(element.querySelector(".tick"), row);
  drawChips(element.querySelector(".chips"), row, app);
  drawFailure(element.querySelector(".row-failure"), row, app);
}

function drawWords(place, { text, deleted }) {
  const shown = deleted ? "This message was deleted" : text;
  if (place.dataset.text === shown && place.dataset.deleted === String(deleted)) return;
  Object.assign(place.dataset, { text: shown, deleted: String(deleted) });
  place.replaceChildren(...(deleted ? [shown] : words(text)));
}

function drawQuote(place, { quoteOf, quoteName, quoteText, deleted, message }, app) {
  place.hidden = !quoteOf || deleted;
  if (place.hidden) return;
  setText(place.querySelector(".quote-name"), quoteName);
  setText(place.querySelector(".quote-text"), quoteText);
  setAttribute(place, "aria-label", `In reply to ${quoteName}: ${quoteText}`);
  place.onclick = message ? () => app.show(message.conversation, quoteOf) : null;
}

function drawForwarded(place, { forwarded, deleted }) {
  place.hidden = !forwarded || deleted;
  setText(place, forwarded ? `Forwarded from ${forwarded}` : "");
}

function drawFiles(place, { attachments, deleted }, app) {
  const shown = deleted ? undefined : attachments;
  if (place.shown === shown) return;
  place.shown = shown;
  place.replaceChildren(...(shown ?? []).map((attachment) => attachmentView(attachment, app)));
}

/** Reactions, and the way to the replies below a message. */
function drawChips(place, { reactions, mine, replies, message, root }, app) {
  if (place.reactions === reactions && place.mine === mine && place.replies === replies) return;
  Object.assign(place, { reactions, mine, replies });
  const chips = Object.entries(reactions).filter(([, n]) => n > 0).map(([reaction, n]) => h("button", {
    class: "chip", type: "button", "aria-pressed": mine[reaction] ? "true" : "false",
    "aria-label": `${reaction}, ${count(n, "reaction")}`,
    onclick: () => app.attempt(() => app.actions.react(message, reaction)),
  }, h("span", { text: reaction }), h("b", { text: String(n) })));
  if (replies && !root) {
    chips.push(h("a", { class: "chip chip-thread", href: `#${message.conversation}~${message.offset}` },
      icon("thread"), count(replies, "reply", "replies")));
  }
  place.replaceChildren(...chips);
}

function drawFace(element, row) {
  const face = element.querySelector(".avatar");
  if (!row.avatar) face?.remove();
  else if (!face) element.prepend(avatar(row.sender, { initials: initials(row.speaker), hue: hue(row.sender) }));
}

function drawTick(tick, { status, readBy }) {
  if (tick.dataset.status !== status) {
    tick.dataset.status = status;
    const picture = status === "delivered" ? "read" : status;
    tick.replaceChildren(...(status ? [icon(picture), h("span", { class: "unseen", text: STATUS[status] })] : []));
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
