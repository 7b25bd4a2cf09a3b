// The conversations on the left.

import { avatar, h, icon, Keyed, setAttribute, setText } from "./dom.js";
import { listItems } from "./select.js";
import { hue, initials } from "./text.js";

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

  #drawNote({ list, conversations, link }) {
    const empty = list.loaded && !Object.keys(conversations).length;
    const failed = list.failure !== null && !list.loaded && link.state === "online";
    this.#note.hidden = !empty && !failed;
    if (this.#note.hidden) return;
    if (failed) {
      this.#note.replaceChildren(
        h("p", { role: "alert", text: "The conversations could not be read." }),
        h("button", { class: "plain", type: "button", text: "Try again", onclick: () => this.#app.refreshList() }));
    } else {
      this.#note.replaceChildren(h("p", { text: "No conversations yet. Start one with the plus above." }));
    }
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
  return h("li", {}, h("a", { class: "item", href: `#${item.id}`, data: { id: item.id } },
    h("span", { class: "face" }, avatar(item.avatar, { initials: initials(item.title), hue: hue(item.avatar), group: item.group }),
      item.group ? null : h("span", { class: "presence", "aria-hidden": "true" })),
    h("span", { class: "item-line" }, h("span", { class: "item-title", dir: "auto" }), h("time", { class: "item-when" })),
    h("span", { class: "item-line" },
      h("span", { class: "item-preview", dir: "auto" }), h("span", { class: "item-badge" }), h("span", { class: "unseen" }))));
}

function update(element, item) {
  const link = element.firstChild;
  const [title, when, preview, badge] = [".item-title", ".item-when", ".item-preview", ".item-badge"].map((each) => link.querySelector(each));
  setText(title, item.title);
  setText(link.querySelector(".avatar"), initials(item.title));
  setText(when, item.when);
  setAttribute(when, "title", item.whenExact);
  preview.replaceChildren(...(item.pending && !item.typing ? [icon(item.failed ? "failed" : "pending")] : []), item.typing || item.preview);
  preview.classList.toggle("is-typing", Boolean(item.typing));
  preview.classList.toggle("is-failed", item.failed && !item.typing);
  setText(badge, item.unread > 99 ? "99+" : item.unread ? String(item.unread) : "");
  setText(badge.nextSibling, item.unread ? (item.unread === 1 ? "unread message" : "unread messages") : "");
  link.classList.toggle("is-unread", item.unread > 0);
  setAttribute(link, "aria-current", item.open ? "true" : null);
  setAttribute(link, "tabindex", item.tabbable ? "0" : "-1");
  link.querySelector(".presence")?.classList.toggle("is-online", item.online);
}
