// The API description as a page: found by area or by a word, tried as a demo user or with a token.

import { Caller } from "./caller.js";
import { h, prose } from "./dom.js";
import { Operation } from "./operation.js";
import { Schemas } from "./schema.js";

const root = document.getElementById("api");

async function main() {
  const answer = await fetch("/openapi.json");
  if (!answer.ok) throw new Error(`the description is not to be had: ${answer.status}`);
  const described = await answer.json();
  const caller = new Caller();
  const operations = described.tags.map((tag) => [tag, operationsOf(tag.name, described, caller)]);
  root.replaceChildren(
    h("h1", { text: "Try the API" }),
    ...prose(described.info.description),
    h(
      "p",
      {},
      "For tools: ",
      h("a", { href: "/openapi.json", text: "openapi.json" }),
      " and, for the socket, ",
      h("a", { href: "/asyncapi.json", text: "asyncapi.json" }),
      ".",
    ),
    signIn(caller),
    search(operations.flatMap(([, some]) => some)),
    ...operations.map(([tag, some]) => area(tag, some)),
  );
  follow();
  window.addEventListener("hashchange", follow);
  if (users().length) await caller.demo(users()[0]).catch(() => {});
}

function users() {
  return JSON.parse(root.dataset.users);
}

function operationsOf(tag, described, caller) {
  const schemas = new Schemas(described);
  return Object.entries(described.paths).flatMap(([path, verbs]) =>
    Object.entries(verbs)
      .filter(([, one]) => one.tags[0] === tag)
      .map(([verb, one]) => new Operation(path, verb, one, schemas, caller)),
  );
}

function area(tag, operations) {
  return h(
    "section",
    { class: "area" },
    h("h2", { id: tag.name.toLowerCase().replaceAll(" ", "-"), text: tag.name }),
    tag.description && prose(tag.description),
    operations.map((one) => one.element),
  );
}

function signIn(caller) {
  const status = h("p", { class: "quiet", role: "status", text: users().length ? "" : "Paste a token to call as a user." });
  const said = async (doing, name) => {
    try {
      await doing();
      status.textContent = `Signed in${name ? ` as ${name}` : ""}.`;
    } catch (error) {
      status.textContent = `Not signed in: ${error.message}`;
    }
  };
  caller.addEventListener("change", () => {
    for (const button of who.querySelectorAll("button")) button.setAttribute("aria-pressed", button.textContent === caller.user);
    if (caller.signedIn && caller.user) status.textContent = `Signed in as ${caller.user}.`;
  });
  const who = h(
    "div",
    { class: "row", role: "group", "aria-label": "Demo users" },
    users().map((user) => h("button", { type: "button", text: user, "aria-pressed": "false", onclick: () => said(() => caller.demo(user), user) })),
  );
  const token = h("input", { id: "token", type: "password", autocomplete: "off", placeholder: "eyJ…", onchange: () => said(() => caller.paste(token.value)) });
  const key = h("input", { id: "api-key", type: "password", autocomplete: "off", onchange: () => (caller.apiKey = key.value.trim()) });
  return h(
    "form",
    { class: "sign-in", "aria-label": "Sign in", onsubmit: (event) => event.preventDefault() },
    users().length ? h("div", {}, h("span", { class: "label", text: "Call as" }), who) : null,
    h("label", {}, h("span", { class: "label", text: "or with a token" }), token),
    h("label", {}, h("span", { class: "label", text: "API key, for the server API" }), key),
    status,
  );
}

function search(operations) {
  const found = h("span", { class: "quiet", role: "status" });
  const input = h("input", {
    type: "search",
    placeholder: "Find: pin, members, POST …",
    "aria-label": "Find an operation",
    oninput: () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let count = 0;
      for (const one of operations) {
        const hit = words.every((word) => one.words.includes(word));
        one.element.hidden = !hit;
        count += hit;
      }
      for (const section of root.querySelectorAll(".area")) section.hidden = !section.querySelector(".op:not([hidden])");
      found.textContent = words.length ? `${count} found` : "";
    },
  });
  return h("div", { class: "search row" }, input, found);
}

/** Open what the address names. */
function follow() {
  const element = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!element) return;
  if (element instanceof HTMLDetailsElement) element.open = true;
  element.scrollIntoView();
}

main().catch((error) => root.replaceChildren(h("p", { class: "failed", text: `This page could not be drawn: ${error.message}` })));
