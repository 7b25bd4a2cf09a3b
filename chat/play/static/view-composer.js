// Where one writes.

import { icon, setAttribute } from "./dom.js";
import { titleOf } from "./select.js";

const HIGHEST_PX = 168;

export class ComposerView {
  #app;
  #drafts;
  #open = null;
  #form = document.getElementById("composer");
  #text = document.getElementById("text");
  #send = document.getElementById("send");

  /** `drafts`: a storage for what is written and not sent. */
  constructor(app, { drafts }) {
    this.#app = app;
    this.#drafts = drafts;
    this.#send.append(icon("send"));
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#text.addEventListener("keydown", (event) => this.#key(event));
    this.#text.addEventListener("input", () => this.#changed());
    this.#text.addEventListener("blur", () => app.typing.stop());
  }

  draw(state) {
    const conversation = state.conversations[state.open];
    if (conversation) setAttribute(this.#text, "placeholder", `Message ${titleOf(state, conversation)}`);
    if (state.open === this.#open) return;
    this.#open = state.open;
    this.#text.value = this.#open ? this.#drafts.getItem(this.#draft) ?? "" : "";
    this.#resize();
    // A keyboard that jumps up on a phone hides what one came to read.
    if (this.#open && matchMedia("(hover: hover)").matches) this.#text.focus({ preventScroll: true });
  }

  get #draft() {
    return `hubbub.draft.${this.#app.state.me}.${this.#open}`;
  }

  #key(event) {
    if (event.key === "Escape") {
      this.#text.blur();
      document.querySelector(".item[aria-current]")?.focus();
    }
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.#submit();
  }

  #submit() {
    const problem = this.#app.send(this.#text.value);
    this.#text.setCustomValidity(problem);
    if (problem) {
      this.#text.reportValidity();
      return;
    }
    this.#text.value = "";
    this.#keep();
    this.#text.focus({ preventScroll: true });
  }

  #changed() {
    this.#text.setCustomValidity("");
    this.#keep();
    this.#app.typed(this.#text.value);
  }

  #keep() {
    if (this.#text.value) this.#drafts.setItem(this.#draft, this.#text.value);
    else this.#drafts.removeItem(this.#draft);
    this.#resize();
  }

  #resize() {
    this.#form.classList.toggle("is-empty", !this.#text.value.trim());
    this.#text.style.height = "auto";
    this.#text.style.height = `${Math.min(this.#text.scrollHeight, HIGHEST_PX)}px`;
  }
}
