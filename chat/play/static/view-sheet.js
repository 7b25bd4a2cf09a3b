// Small sheets about one message: who has read it, and whether it is really to be deleted.

import { avatar, h, icon } from "./dom.js";
import { summary } from "./select.js";
import { hue, initials, readable } from "./text.js";

export class SheetView {
  #app;
  #dialog = document.getElementById("dialog");

  constructor(app) {
    this.#app = app;
  }

  /** Who has read up to a message. */
  async seenBy(message) {
    const list = h("div", { class: "people" }, h("span", { class: "spinner" }));
    this.#show("Seen by", [list]);
    try {
      const members = await this.#app.actions.seenBy(message);
      list.replaceChildren(...members.map(({ user, read }) => this.#person(user, read ? "" : "delivered")));
      if (!members.length) list.replaceChildren(h("p", { class: "note", text: "Nobody yet." }));
    } catch (error) {
      list.replaceChildren(h("p", { class: "failure", role: "alert", text: readable(error.message ?? "") }));
    }
  }

  /** Ask before something is gone for everyone. */
  confirmRemoval(message) {
    const failure = h("p", { class: "failure", role: "alert" });
    const remove = h("button", { class: "main is-bad", type: "submit", text: "Delete" });
    const form = this.#show("Delete for everyone?", [
      h("blockquote", { class: "quoted", dir: "auto", text: summary(message) }),
      h("p", { class: "note", text: "Nothing of it is kept." }),
      failure,
      h("footer", { class: "sheet-foot" }, remove),
    ]);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      remove.disabled = true;
      try {
        await this.#app.actions.remove(message);
        this.#dialog.close();
      } catch (error) {
        failure.textContent = readable(error.message ?? "");
        remove.disabled = false;
      }
    });
    remove.focus();
  }

  /** Something that was asked for did not work. */
  failed(error) {
    this.#show("That did not work", [h("p", { class: "note", role: "alert", text: readable(error.message ?? "") })]);
  }

  #person(user, note) {
    const name = this.#app.state.users[user]?.name || user;
    return h("div", { class: "person" },
      avatar(user, { initials: initials(name), hue: hue(user) }), h("span", { class: "person-name", text: name }),
      note && h("span", { class: "person-id", text: note }));
  }

  #show(title, parts) {
    const form = h("form", { class: "sheet", novalidate: true },
      h("header", { class: "sheet-head" },
        h("h2", { id: "dialog-title", text: title }),
        h("button", { class: "round", type: "button", "aria-label": "Close", onclick: () => this.#dialog.close() },
          icon("close"))),
      ...parts);
    form.addEventListener("submit", (event) => event.preventDefault());
    this.#dialog.replaceChildren(form);
    this.#dialog.showModal();
    return form;
  }
}
