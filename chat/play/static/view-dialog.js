// Starting a conversation.

import { avatar, h, icon } from "./dom.js";
import { hue, initials, readable } from "./text.js";

/** People offered to be ticked. Others are named by their id. */
const MOST_SHOWN = 50;

export class DialogView {
  #app;
  #users;
  #newKey;
  #dialog = document.getElementById("dialog");

  constructor(app, { users, newKey }) {
    this.#app = app;
    this.#users = users;
    this.#newKey = newKey;
    this.#dialog.addEventListener("click", (event) => event.target === this.#dialog && this.#dialog.close());
  }

  open() {
    const key = this.#newKey(); // of this conversation, however often "Create" is pressed
    const failure = h("p", { class: "failure", role: "alert" });
    const form = this.#form(failure);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#create(form, failure, key);
    });
    this.#dialog.replaceChildren(form);
    this.#dialog.showModal();
    form.querySelector("input[name=member]")?.focus();
  }

  #form(failure) {
    const form = h("form", { class: "sheet", novalidate: true },
      h("header", { class: "sheet-head" },
        h("h2", { id: "dialog-title", text: "New conversation" }),
        h("button", { class: "round", type: "button", "aria-label": "Close", onclick: () => this.#dialog.close() },
          icon("close"))),
      h("fieldset", { class: "kinds" }, h("legend", { class: "unseen", text: "Kind" }),
        kind("direct", "Direct", true), kind("group", "Group", false)),
      h("label", { class: "field only-group" }, h("span", { text: "Name" }),
        h("input", { name: "title", maxlength: "200", autocomplete: "off", placeholder: "What is it about?" })),
      h("fieldset", { class: "people" }, h("legend", { text: "With" }), ...this.#people()),
      h("label", { class: "field" }, h("span", { text: "Somebody else, by user id" }),
        h("input", {
          name: "others", autocomplete: "off", autocapitalize: "none", spellcheck: "false", placeholder: "erin, frank",
        })),
      failure,
      h("footer", { class: "sheet-foot" }, h("button", { class: "main", type: "submit", text: "Create" })));
    form.addEventListener("change", ({ target }) => {
      const group = form.elements.kind.value === "group";
      form.classList.toggle("is-group", group);
      if (group || !["kind", "member"].includes(target.name)) return;
      for (const box of form.querySelectorAll("input[name=member]")) box.checked &&= box === target; // only one
    });
    return form;
  }

  #people() {
    const { me, users } = this.#app.state;
    const known = new Map([...Object.values(users), ...this.#users].map((user) => [user.id, user]));
    known.delete(me);
    return [...known.values()].slice(0, MOST_SHOWN).map((user) => h("label", { class: "person" },
      h("input", { type: "checkbox", name: "member", value: user.id }),
      avatar(user.id, { initials: initials(user.name || user.id), hue: hue(user.id) }),
      h("span", { class: "person-name", text: user.name || user.id }),
      user.name && h("span", { class: "person-id", text: user.id })));
  }

  async #create(form, failure, key) {
    const data = new FormData(form);
    const typed = data.get("others").split(/[\s,;]+/u).filter(Boolean);
    const members = [...new Set([...data.getAll("member"), ...typed])];
    const request = { kind: data.get("kind"), members, title: data.get("title").trim() };
    failure.textContent = problem(request);
    if (failure.textContent) return;
    const button = form.querySelector(".main");
    button.disabled = true;
    try {
      const id = await this.#app.create(request, key);
      this.#dialog.close();
      location.hash = id;
    } catch (error) {
      failure.textContent = readable(error.message ?? "");
    } finally {
      button.disabled = false;
    }
  }
}

function problem({ kind, members, title }) {
  if (!members.length) return "Pick somebody to talk to.";
  if (kind === "direct" && members.length > 1) return "A direct conversation has one other person: make it a group.";
  if (kind === "group" && !title) return "Give the group a name.";
  return "";
}

function kind(value, text, checked) {
  const radio = h("input", { type: "radio", name: "kind", value, checked });
  return h("label", { class: "kind" }, radio, h("span", { text }));
}
