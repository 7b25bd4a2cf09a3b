// The menu of a message: what one may do with it.

import { h, icon } from "./dom.js";
import { actionsOn } from "./select.js";

const QUICK = ["👍", "❤️", "😂", "🎉", "😮", "😢"];

export class MenuView {
  #app;
  #sheet;
  #menu = document.getElementById("menu");
  #opener = null;

  /** `sheet`: shows who has read a message, and asks before one is deleted. */
  constructor(app, { sheet }) {
    this.#app = app;
    this.#sheet = sheet;
    this.#menu.addEventListener("keydown", (event) => this.#key(event));
    this.#menu.addEventListener("toggle", ({ newState }) => {
      // Unless what was chosen has taken the reader elsewhere.
      if (newState === "closed" && document.activeElement === document.body) this.#opener?.focus({ preventScroll: true });
    });
  }

  /** Show the menu of a message at the button that asks for it. */
  open(message, opener) {
    this.#opener = opener;
    const may = actionsOn(this.#app.state, message);
    this.#menu.replaceChildren(...this.#parts(message, may));
    this.#menu.showPopover();
    this.#place(opener.getBoundingClientRect());
    this.#menu.querySelector("button")?.focus({ preventScroll: true });
  }

  #parts(message, may) {
    const { conversation, offset } = message;
    const { app, sheet } = { app: this.#app, sheet: this.#sheet };
    const about = (kind) => () => {
      app.compose({ kind, conversation, offset });
      document.getElementById("text").focus();
    };
    const items = [
      may.reply && ["reply", "Reply", about("reply")],
      may.thread && ["thread", "Reply in thread", () => { location.hash = `${conversation}~${offset}`; }],
      may.edit && ["edit", "Edit", about("edit")],
      may.pin && ["pin", message.pinned_at ? "Unpin" : "Pin", () => app.attempt(() => app.actions.pin(message))],
      may.copy && ["copy", "Copy text", () => app.attempt(() => navigator.clipboard.writeText(message.text))],
      may.seenBy && ["read", "Seen by", () => sheet.seenBy(message)],
      may.hide && ["hide", "Delete for me", () => app.attempt(() => app.actions.hide(message))],
      may.remove && ["bin", "Delete for everyone", () => sheet.confirmRemoval(message)],
    ].filter(Boolean);
    return [
      may.react && h("div", { class: "quick", role: "group", "aria-label": "React" }, ...QUICK.map((reaction) =>
        this.#item({ class: "quick-one", "aria-label": `React with ${reaction}`, text: reaction },
          () => app.attempt(() => app.actions.react(message, reaction))))),
      ...items.map(([picture, text, act]) =>
        this.#item({ class: picture === "bin" ? "menu-item is-bad" : "menu-item" }, act, icon(picture), text)),
    ].filter(Boolean);
  }

  #item(props, act, ...children) {
    return h("button", { type: "button", role: "menuitem", ...props, onclick: () => {
      this.#menu.hidePopover();
      act();
    } }, ...children);
  }

  /** Next to the button, where there is room. */
  #place(at) {
    const { offsetWidth: width, offsetHeight: height } = this.#menu;
    const left = Math.max(8, Math.min(at.left + at.width / 2 - width / 2, innerWidth - width - 8));
    const below = at.bottom + 6;
    const top = below + height + 8 <= innerHeight ? below : Math.max(8, at.top - height - 6);
    this.#menu.style.left = `${left}px`;
    this.#menu.style.top = `${top}px`;
  }

  /** Arrows walk; Escape closes by itself. */
  #key(event) {
    const buttons = [...this.#menu.querySelectorAll("button")];
    const at = buttons.indexOf(document.activeElement);
    const to = {
      ArrowDown: at + 1, ArrowRight: at + 1, ArrowUp: at - 1, ArrowLeft: at - 1, Home: 0, End: buttons.length - 1,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    buttons[(to + buttons.length) % buttons.length].focus();
  }
}
