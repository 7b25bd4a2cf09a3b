// The open conversation: its head, its messages, and where the reader is in them.

import { avatar, h, icon, Keyed, setAttribute, setText } from "./dom.js";
import { isThread, rootOf } from "./store.js";
import { canPageBack, KEPT_OPEN } from "./log.js";
import { rows, subtitle, summary, titleOf, typingLine, unreadIn } from "./select.js";
import { hue, initials } from "./text.js";
import { rowDrawing } from "./view-messages.js";

/** So close to the end counts as there. */
const AT_END_PX = 48;
/** So close to the beginning, older messages are fetched. */
const NEAR_TOP_PX = 900;

const EDGES = {
  "": "",
  failure: "Messages could not be read.",
  enough: "Older messages are not shown here.",
  start: "The beginning of this conversation",
  thread: "",
};

const STRIPS = {
  "": "",
  connecting: "Connecting…",
  offline: "Offline. What you write is kept and sent when the connection is back.",
  ended: "You are signed out.",
};

/** What stands above the messages: "" while nothing is known, "busy" where more is or will be on its way. */
function edgeOf(log, { busy, failure }, thread) {
  if (failure) return "failure";
  if (busy || (log && canPageBack(log))) return "busy";
  if (!log?.loaded) return "";
  if (thread) return "thread";
  return log.messages.length >= KEPT_OPEN ? "enough" : "start";
}

function button(text, onclick) {
  return h("button", { class: "plain", type: "button", text, onclick });
}

export class ThreadView {
  #app;
  #times;
  #now;
  #part = Object.fromEntries(
    ["thread-empty", "thread-open", "face", "title", "subtitle", "scroller", "edge", "rows", "jump", "strip", "back"]
      .map((id) => [id, document.getElementById(id)]));
  #menu;
  #pinned = document.getElementById("pinned");
  #shown = null;
  #keyed = null;
  #open = null;
  #drawn = null; // what the rows were made of
  #placed = false; // the reader was brought to where they begin
  #following = true; // the end is on screen, and stays there

  constructor(app, { times, now, menu }) {
    this.#app = app;
    this.#menu = menu;
    this.#times = times;
    this.#now = now;
    const { scroller, jump, back } = this.#part;
    back.append(icon("back"));
    this.#pinned.prepend(icon("pin"));
    this.#pinned.addEventListener("click", () => app.show(this.#open, Number(this.#pinned.dataset.offset)));
    jump.append(icon("down"), h("span", { class: "jump-count" }));
    jump.addEventListener("click", () => this.#toEnd({ smooth: true }));
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    document.addEventListener("visibilitychange", () => this.#look());
    new ResizeObserver(() => this.#following && this.#toEnd()).observe(scroller);
  }

  draw(state) {
    const conversation = state.conversations[state.open];
    const shown = Boolean(conversation) || Boolean(state.open && !state.list.loaded);
    this.#part["thread-empty"].hidden = shown;
    this.#part["thread-open"].hidden = !shown;
    if (state.open !== this.#open) this.#switch(state.open);
    this.#part["thread-empty"].classList.toggle("is-waiting", !state.list.loaded);
    this.#drawStrip(state);
    if (!conversation) return;
    this.#drawHead(state, conversation);
    this.#drawRows(state);
    this.#drawEdge(state);
    this.#drawJump();
    this.#drawPinned(state, conversation);
    this.#show(state.shown);
    this.#look();
  }

  /** The last pinned message, under the head. */
  #drawPinned(state, { id, pins = [] }) {
    const offset = pins.at(-1);
    this.#pinned.hidden = !offset;
    if (!offset) return;
    const message = state.logs[id]?.messages.find((each) => each.offset === offset);
    this.#pinned.dataset.offset = offset;
    setText(this.#pinned.querySelector(".pinned-text"), message ? summary(message) : "A pinned message");
    setText(this.#pinned.querySelector(".pinned-count"), pins.length > 1 ? `${pins.length} pinned` : "Pinned");
  }

  /** Bring a message on screen that was asked for, and let it be found there. */
  #show(shown) {
    if (!shown || shown === this.#shown || shown.conversation !== this.#open) return;
    const row = this.#part.rows.querySelector(`[data-offset="${shown.offset}"]`);
    if (!row) return;
    this.#shown = shown;
    this.#following = false;
    row.scrollIntoView({ block: "center" });
    row.classList.remove("is-found");
    void row.offsetWidth; // so that the animation begins again
    row.classList.add("is-found");
  }

  #switch(open) {
    this.#open = open;
    this.#part.rows.replaceChildren();
    this.#part.face.replaceChildren();
    this.#keyed = new Keyed(this.#part.rows, rowDrawing({ app: this.#app, menu: this.#menu, exact: (at) => this.#times.exact(at) }));
    this.#drawn = null;
    this.#placed = false;
    this.#following = true;
  }

  #drawHead(state, conversation) {
    const { face, title, subtitle: line } = this.#part;
    const name = titleOf(state, conversation);
    const id = conversation.peer?.id ?? (isThread(conversation.id) ? rootOf(conversation.id)[0] : conversation.id);
    const thread = isThread(conversation.id);
    setAttribute(this.#part.back, "href", thread ? `#${rootOf(conversation.id)[0]}` : "#");
    setAttribute(this.#part.back, "aria-label", thread ? "Back to the conversation" : "Back to the conversations");
    this.#part["thread-open"].classList.toggle("is-thread", thread);
    if (face.dataset.name !== name || !face.firstChild) {
      face.dataset.name = name;
      face.replaceChildren(avatar(id, { initials: initials(name), hue: hue(id), group: !conversation.peer }));
    }
    setText(title, name);
    setText(line, subtitle(state, conversation, this.#now(), this.#times));
    line.classList.toggle("is-online", Boolean(conversation.peer && state.presence[conversation.peer.id]?.online));
    setAttribute(this.#part.scroller, "aria-label", `Messages, ${name}`);
  }

  #drawRows(state) {
    const made = [
      state.logs[state.open], state.waiting, state.members[state.open], state.users, state.newAfter, state.mine,
      state.roots[state.open], isThread(state.open) && state.logs[rootOf(state.open)[0]],
      this.#times.dayKey(this.#now()),
    ];
    if (this.#drawn && made.every((part, i) => part === this.#drawn[i])) return;
    const sentNow = this.#drawn !== null && state.waiting.length > this.#drawn[1].length;
    this.#drawn = made;
    const list = rows(state, this.#now(), this.#times);
    const anchor = this.#following ? null : this.#anchor();
    this.#keyed.draw(list);
    if (!this.#placed && state.logs[state.open]?.loaded) this.#place();
    else if (this.#following || sentNow) this.#toEnd();
    else if (anchor) this.#part.scroller.scrollTop += anchor.row.getBoundingClientRect().bottom - anchor.bottom;
  }

  /** Begin at the line above what is new, if it would be off the screen, else at the end. */
  #place() {
    this.#placed = true;
    this.#toEnd();
    const { scroller } = this.#part;
    const line = this.#keyed.element("new");
    if (!line || line.offsetTop >= scroller.scrollTop) return;
    scroller.scrollTop = line.offsetTop - 64;
    this.#following = this.#atEnd();
  }

  /** The first message on screen. Its end is kept where it is: its own head may come or go with what is above it. */
  #anchor() {
    const { scroller, rows: list } = this.#part;
    const row = this.#rowAt(scroller.scrollTop) ?? list.lastElementChild;
    return row && { row, bottom: row.getBoundingClientRect().bottom };
  }

  /** The first message that ends below so many px of the scrolled content. */
  #rowAt(y) {
    const messages = this.#part.rows.querySelectorAll(".row");
    let [low, high] = [0, messages.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (messages[middle].offsetTop + messages[middle].offsetHeight > y) high = middle;
      else low = middle + 1;
    }
    return messages[low];
  }

  /** What stands above the messages. */
  #drawEdge(state) {
    const { edge } = this.#part;
    const what = edgeOf(state.logs[state.open], state.paging[state.open] ?? {}, isThread(state.open));
    if (edge.dataset.what === what) return;
    edge.dataset.what = what;
    if (what === "busy") edge.replaceChildren(h("span", { class: "spinner" }));
    else edge.replaceChildren(EDGES[what]);
    if (what === "failure") edge.append(button("Try again", () => this.#readAgain()));
  }

  #readAgain() {
    const { history, state } = this.#app;
    if (state.logs[this.#open]?.loaded) history.older(this.#open);
    else history.open(this.#open);
  }

  /** One line of fixed height: the connection when it matters, else who is typing. */
  #drawStrip(state) {
    const { strip } = this.#part;
    const link = state.link.state;
    const typing = typingLine(state, state.open, this.#now());
    const kind = link === "online" ? (typing ? "typing" : "") : link;
    const text = kind === "typing" ? typing : STRIPS[kind];
    if (strip.dataset.kind === kind && strip.dataset.text === text) return;
    Object.assign(strip.dataset, { kind, text });
    strip.replaceChildren(h("span", { text }));
    if (kind === "typing") strip.prepend(h("span", { class: "dots", "aria-hidden": "true" }, h("i"), h("i"), h("i")));
    if (kind === "offline") strip.append(button("Try now", () => this.#app.reconnect()));
    if (kind === "ended") strip.append(button("Sign in again", () => this.#app.reconnect()));
  }

  #drawJump() {
    const { jump } = this.#part;
    const unread = unreadIn(this.#app.state, this.#open);
    jump.hidden = this.#following || this.#distance() < 240;
    setText(jump.querySelector(".jump-count"), unread ? String(Math.min(unread, 99)) : "");
    setAttribute(jump, "aria-label", `Jump to the newest messages${unread ? `, ${unread} unread` : ""}`);
  }

  #scrolled() {
    this.#following = this.#atEnd();
    this.#drawJump();
    this.#look();
  }

  /** What is on screen was seen; what will soon be is fetched. */
  #look() {
    const { scroller } = this.#part;
    const state = this.#app.state;
    if (!this.#placed || state.open !== this.#open) return;
    if (scroller.scrollTop < NEAR_TOP_PX && !state.paging[this.#open]?.failure) this.#app.history.older(this.#open);
    if (document.hidden || !scroller.clientHeight) return;
    const end = scroller.scrollTop + scroller.clientHeight;
    const below = this.#rowAt(end - 8);
    const messages = state.logs[this.#open].messages;
    const limit = below ? Number(below.dataset.offset ?? 0) : Infinity;
    const seen = this.#following ? messages.at(-1) : messages.findLast((message) => message.offset < limit);
    if (seen) this.#app.reader.seen(this.#open, seen);
  }

  #distance() {
    const { scroller } = this.#part;
    return scroller.scrollHeight - scroller.clientHeight - scroller.scrollTop;
  }

  #atEnd() {
    return this.#distance() <= AT_END_PX;
  }

  #toEnd({ smooth = false } = {}) {
    const { scroller } = this.#part;
    this.#following = !smooth || this.#following;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    scroller.scrollTo({ top: scroller.scrollHeight, behavior: smooth && !still ? "smooth" : "instant" });
  }
}
