// The conversations on the left.

import { avatar, h, icon, Keyed, setAttribute, setText } from "./dom.js";
import { listItems } from "./select.js";
import { hue, initials } from "./text.js";

const NOTES = {
  empty: { text: "No conversations yet. Start one with the plus above." },
  failed: { text: "The conversations could not be read.", button: "Try again" },
  offline: { text: "The server cannot be reached.", button: "Try now" },
  ended: { text: "You are signed out.", button: "Sign in again" },
};

/** Which note stands for the list, "" for none. */
function missing({ list, conversations, link }) {
  if (list.loaded) return Object.keys(conversations).length ? "" : "empty";
  if (link.state === "online") return list.failure === null ? "" : "failed";
  return link.state === "connecting" ? "" : link.state;
}

export class ListView {
  #app;
  #times;
  #now;
  #list = document.getElementById("list");
  #note = document.getElementById("side-note");
  #keyed = null;
  #open = null;

  constructor(app, { times, now }) {
    this.#app = app;
    this.#times = times;
    this.#now = now;
    document.getElementById("new").append(icon("new"));
    this.#list.addEventListener("keydown", (event) => this.#key(event));
  }

  draw(state) {
    this.#drawNote(state);
    if (!state.list.loaded) return; // ghosts stand there until we know
    if (!this.#keyed) {
      this.#list.replaceChildren();
      this.#keyed = new Keyed(this.#list, { create, update });
    }
    const items = listItems(state, this.#now(), this.#times);
    const reachable = state.open ?? items[0]?.id;
    this.#keyed.draw(items.map((item) => ({ ...item, key: item.id, tabbable: item.id === reachable })));
    if (state.open === this.#open) return;
    this.#open = state.open;
    this.#keyed.element(state.open)?.scrollIntoView({ block: "nearest" });
  }

  /** What to say in place of a list: nothing while it is on its way. */
  #drawNote(state) {
    const what = missing(state);
    this.#list.hidden = what !== "" && what !== "empty";
    this.#note.hidden = what === "";
    if (this.#note.dataset.what === what) return;
    this.#note.dataset.what = what;
    const again = what === "failed" ? () => this.#app.refreshList() : () => this.#app.reconnect();
    const { text, button } = NOTES[what] ?? {};
    this.#note.replaceChildren(
      ...(text ? [h("p", { role: button ? "alert" : null, text })] : []),
      ...(button ? [h("button", { class: "plain", type: "button", text: button, onclick: again })] : []));
  }

  /** Arrows walk, Home and End jump; Enter follows the link by itself. */
  #key(event) {
    const links = [...this.#list.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    links[Math.max(0, Math.min(to, links.length - 1))].focus();
  }
}

function create(item) {
  const face = avatar(item.avatar, { initials: initials(item.title), hue: hue(item.avatar), group: item.group });
  return h("li", {}, h("a", { class: "item", href: `#${item.id}`, data: { id: item.id } },
    h("span", { class: "face" }, face, item.group ? null : h("span", { class: "presence", "aria-hidden": "true" })),
    h("span", { class: "item-line" },
      h("span", { class: "item-title", dir: "auto" }), h("time", { class: "item-when" })),
    h("span", { class: "item-line" },
      h("span", { class: "item-preview", dir: "auto" }), h("span", { class: "item-badge" }),
      h("span", { class: "unseen" }))));
}

function update(element, item) {
  const link = element.firstChild;
  const part = (name) => link.querySelector(`.item-${name}`);
  const [title, when, preview, badge] = [part("title"), part("when"), part("preview"), part("badge")];
  setText(title, item.title);
  setText(link.querySelector(".avatar"), initials(item.title));
  setText(when, item.when);
  setAttribute(when, "title", item.whenExact);
  const waits = item.pending && !item.typing;
  preview.replaceChildren(...(waits ? [icon(item.failed ? "failed" : "pending")] : []), item.typing || item.preview);
  preview.classList.toggle("is-typing", Boolean(item.typing));
  preview.classList.toggle("is-failed", item.failed && !item.typing);
  setText(badge, item.unread > 99 ? "99+" : item.unread ? String(item.unread) : "");
  setText(badge.nextSibling, item.unread === 0 ? "" : item.unread === 1 ? "unread message" : "unread messages");
  link.classList.toggle("is-unread", item.unread > 0);
  setAttribute(link, "aria-current", item.open ? "true" : null);
  setAttribute(link, "tabindex", item.tabbable ? "0" : "-1");
  link.querySelector(".presence")?.classList.toggle("is-online", item.online);
}
