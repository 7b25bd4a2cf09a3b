// The search in the open conversation: a field and its hits, over the messages.

import { avatar, h, icon, setAttribute } from "./dom.js";
import { summary } from "./select.js";
import { hue, initials, readable } from "./text.js";

const AFTER_MS = 250;

export class SearchView {
  #app;
  #times;
  #later;
  #panel = document.getElementById("search");
  #field = h("input", {
    type: "search", id: "search-text", "aria-label": "Search in this conversation", placeholder: "Search", autocomplete: "off",
  });
  #hits = h("ol", { class: "hits" });
  #note = h("p", { class: "note", role: "status" });
  #drawn = null;
  #asked = 0;

  /** `later(ms, action)`. */
  constructor(app, { times, later }) {
    this.#app = app;
    this.#times = times;
    this.#later = later;
    const button = document.getElementById("find");
    button.append(icon("search"));
    button.addEventListener("click", () => (app.state.search ? app.search.end() : app.search.begin(app.state.open)));
    const close = h("button", { class: "round", type: "button", "aria-label": "Close the search", onclick: () => app.search.end() },
      icon("close"));
    this.#panel.append(h("div", { class: "search-head" }, icon("search"), this.#field, close),
      h("div", { class: "search-hits" }, this.#hits, this.#note));
    this.#field.addEventListener("input", () => this.#typed());
    this.#panel.addEventListener("keydown", (event) => this.#key(event));
  }

  draw(state) {
    const { search } = state;
    const button = document.getElementById("find");
    setAttribute(button, "aria-expanded", search ? "true" : "false");
    button.hidden = !state.open || state.open.includes("~");
    this.#panel.hidden = !search;
    if (search === this.#drawn) return;
    const opened = search && !this.#drawn;
    this.#drawn = search;
    if (!search) {
      this.#field.value = "";
      return;
    }
    if (opened) this.#field.focus();
    this.#hits.replaceChildren(...search.items.map((message) => this.#hit(state, message)));
    const more = search.next && !search.busy
      ? h("button", { class: "plain", type: "button", text: "Look further back", onclick: () => this.#app.search.more() }) : "";
    this.#note.replaceChildren(search.busy ? h("span", { class: "spinner" }) : said(search), more);
  }

  #hit(state, message) {
    const name = state.users[message.sender]?.name || message.sender;
    return h("li", {}, h("button", { class: "hit", type: "button", onclick: () => this.#show(message) },
      avatar(message.sender, { initials: initials(name), hue: hue(message.sender) }),
      h("span", { class: "hit-name", text: name }),
      h("time", { text: this.#times.listLabel(message.created_at, Date.now()) }),
      h("span", { class: "hit-text", dir: "auto", text: summary(message) })));
  }

  async #show({ conversation, offset }) {
    this.#app.search.end();
    await this.#app.show(conversation, offset);
  }

  /** While somebody is still typing, nothing is asked. */
  #typed() {
    const asked = ++this.#asked;
    this.#later(AFTER_MS, () => {
      const { search } = this.#app.state;
      if (asked === this.#asked && search) this.#app.search.find(search.conversation, this.#field.value);
    });
  }

  #key(event) {
    if (event.key === "Escape") {
      event.preventDefault();
      this.#app.search.end();
      document.getElementById("find").focus();
    }
    const hits = [...this.#hits.querySelectorAll("button")];
    const at = hits.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1 }[event.key];
    if (to === undefined || !hits.length) return;
    event.preventDefault();
    if (to < 0) this.#field.focus();
    else hits[Math.min(to, hits.length - 1)].focus();
  }
}

function said({ text, items, failure, next }) {
  if (failure) return readable(failure);
  if (!text) return "Words that a message has, in any order.";
  if (items.length) return next ? "" : "That is all.";
  return next ? "Nothing in the latest messages. " : "Nothing was found.";
}
