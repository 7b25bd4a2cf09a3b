// Where one writes.

import { h, icon, Keyed, setAttribute, setText } from "./dom.js";
import { composing, titleOf } from "./select.js";
import { readable } from "./text.js";

const HIGHEST_PX = 168;

export class ComposerView {
  #app;
  #drafts;
  #open = null;
  #form = document.getElementById("composer");
  #text = document.getElementById("text");
  #send = document.getElementById("send");
  #about = document.getElementById("about");
  #attach = document.getElementById("attach");
  #files = document.getElementById("files");
  #attached;
  #composing = null;

  /** `drafts`: a storage for what is written and not sent. */
  constructor(app, { drafts }) {
    this.#app = app;
    this.#drafts = drafts;
    this.#send.append(icon("send"));
    this.#attach.append(icon("attach"));
    this.#attach.addEventListener("click", () => this.#files.click());
    this.#files.addEventListener("change", () => {
      app.uploads.add(this.#files.files);
      this.#files.value = "";
    });
    this.#text.addEventListener("paste", (event) => {
      if (event.clipboardData.files.length) app.uploads.add(event.clipboardData.files);
    });
    this.#attached = new Keyed(document.getElementById("attached"), {
      create: (each) => this.#attachment(each), update: drawAttached,
    });
    this.#about.querySelector("button").append(icon("close"));
    this.#about.querySelector("button").addEventListener("click", () => app.compose(null));
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
    if (conversation) setAttribute(this.#text, "placeholder", placeholder(state, conversation));
    this.#attached.draw(state.attached);
    this.#form.classList.toggle("is-empty", !this.#text.value.trim() && !state.attached.length);
    if (state.open === this.#open) {
      this.#drawAbout(state);
      return;
    }
    this.#composing = null;
    this.#drawAbout(state);
    this.#open = state.open;
    this.#text.value = this.#open ? this.#drafts.getItem(this.#draft) ?? "" : "";
    this.#resize();
    // A keyboard that jumps up on a phone hides what one came to read.
    if (this.#open && matchMedia("(hover: hover)").matches) this.#text.focus({ preventScroll: true });
  }

  /** What the text is about: the message that it answers or edits. */
  #drawAbout(state) {
    const about = composing(state);
    this.#about.hidden = !about;
    if (about) {
      setText(this.#about.querySelector(".about-name"), about.kind === "edit" ? "Editing" : `Replying to ${about.name}`);
      setText(this.#about.querySelector(".about-text"), about.text);
    }
    const was = this.#composing;
    this.#composing = about;
    if (about?.kind === "edit" && was?.message.id !== about.message.id) this.#put(about.message.text);
    else if (was?.kind === "edit" && about?.kind !== "edit") this.#put(this.#drafts.getItem(this.#draft) ?? "");
    this.#form.classList.toggle("is-editing", about?.kind === "edit");
  }

  #put(text) {
    this.#text.value = text;
    this.#resize();
    this.#text.focus({ preventScroll: true });
  }

  #attachment({ key, name, url }) {
    return h("li", { class: "attached" },
      url ? h("img", { src: url, alt: "" }) : icon("file"),
      h("span", { class: "attached-name", text: name }),
      h("span", { class: "attached-state", role: "status" }),
      h("button", { class: "round", type: "button", "aria-label": `Remove ${name}`, onclick: () => this.#app.uploads.remove(key) },
        icon("close")));
  }

  /** Give the message that is edited its new text. */
  async #edit(message) {
    const text = this.#text.value.trim();
    if (text === (message.text ?? "")) {
      this.#app.compose(null);
      return;
    }
    try {
      await this.#app.actions.edit(message, text);
      this.#app.compose(null);
    } catch (error) {
      this.#text.setCustomValidity(readable(error.message ?? ""));
      this.#text.reportValidity();
    }
  }

  /** Edit the last message of one's own. */
  #editLast() {
    const { state } = this.#app;
    const last = state.logs[state.open]?.messages.findLast(({ sender, deleted_at: gone }) => sender === state.me && !gone);
    if (last) this.#app.compose({ kind: "edit", conversation: state.open, offset: last.offset });
  }

  get #draft() {
    return `hubbub.draft.${this.#app.state.me}.${this.#open}`;
  }

  #key(event) {
    if (event.key === "ArrowUp" && !this.#text.value && !event.isComposing) {
      event.preventDefault();
      this.#editLast();
    }
    if (event.key === "Escape" && this.#composing) {
      this.#app.compose(null);
      return;
    }
    if (event.key === "Escape") {
      this.#text.blur();
      document.querySelector(".item[aria-current]")?.focus();
    }
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.#submit();
  }

  #submit() {
    if (this.#composing?.kind === "edit") {
      this.#edit(this.#composing.message);
      return;
    }
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
    if (this.#composing?.kind !== "edit") this.#app.typed(this.#text.value);
  }

  #keep() {
    if (this.#composing?.kind === "edit") {
      this.#resize(); // the draft is what was written before
      return;
    }
    if (this.#text.value) this.#drafts.setItem(this.#draft, this.#text.value);
    else this.#drafts.removeItem(this.#draft);
    this.#resize();
  }

  #resize() {
    this.#form.classList.toggle("is-empty", !this.#text.value.trim() && !this.#app.state.attached.length);
    this.#text.style.height = "auto";
    this.#text.style.height = `${Math.min(this.#text.scrollHeight, HIGHEST_PX)}px`;
  }
}

function placeholder(state, conversation) {
  return conversation.kind === "thread" ? "Reply in the thread" : `Message ${titleOf(state, conversation)}`;
}

const STATES = { uploading: "On its way…", ready: "", failed: "Not sent: " };

function drawAttached(element, { state, failure }) {
  element.dataset.state = state;
  setText(element.querySelector(".attached-state"), STATES[state] + (failure ? readable(failure) : ""));
}
