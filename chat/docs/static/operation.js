// One operation: what it is for, what it takes and answers, and a form to try it with.

import { h, inline, prose } from "./dom.js";

const SHOWN_HEADERS = ["content-type", "etag", "location", "retry-after", "x-request-id"];

export class Operation {
  #schemas;
  #caller;
  #filled = false;
  #inputs = new Map(); // parameter → input
  #body = null;

  constructor(path, verb, described, schemas, caller) {
    this.path = path;
    this.verb = verb.toUpperCase();
    this.described = described;
    this.#schemas = schemas;
    this.#caller = caller;
    this.words = `${verb} ${path} ${described.summary} ${described.operationId}`.toLowerCase();
    this.element = h(
      "details",
      { class: "op", id: described.operationId },
      h(
        "summary",
        {},
        h("span", { class: `verb ${verb}`, text: this.verb }),
        h("code", { class: "path", text: path }),
        h("span", { class: "summary" }, inline(described.summary)),
      ),
    );
    this.element.addEventListener("toggle", () => this.element.open && this.#fill());
  }

  #fill() {
    if (this.#filled) return;
    this.#filled = true;
    const { described } = this;
    const parameters = (described.parameters ?? []).map((one) => this.#schemas.resolve(one));
    const body = this.#json(described.requestBody);
    this.element.append(
      h(
        "div",
        { class: "op-body" },
        prose(described.description),
        body && h("section", {}, h("h4", { text: "Body" }), this.#schemas.tree(body.schema)),
        h("section", {}, h("h4", { text: "Try it" }), this.#form(parameters, body)),
        h("section", {}, h("h4", { text: "Answers" }), this.#answers()),
      ),
    );
  }

  #json(part) {
    return this.#schemas.resolve(part)?.content?.["application/json"];
  }

  #form(parameters, body) {
    const result = h("div", { class: "result", "aria-live": "polite" });
    const send = h("button", { class: "send", text: "Send" });
    const form = h(
      "form",
      { onsubmit: (event) => (event.preventDefault(), this.#send(send, result)) },
      parameters.map((one) => this.#parameter(one)),
      body && this.#textarea(body),
      h("div", { class: "row" }, send, this.#needs()),
      result,
    );
    this.#caller.addEventListener("change", () => this.#refill(parameters, body));
    return form;
  }

  #needs() {
    const scheme = this.#schemes()[0];
    const words = { bearer: "as the user above", apiKey: "with the API key above" }[scheme];
    return h("span", { class: "quiet", text: words ?? "open to everybody" });
  }

  #schemes() {
    return (this.described.security ?? []).flatMap((one) => Object.keys(one));
  }

  #parameter(parameter) {
    const id = `${this.described.operationId}-${parameter.name}`;
    const input = parameter.schema.enum
      ? h("select", { id }, h("option", { value: "", text: "" }), parameter.schema.enum.map((one) => h("option", { value: one, text: one })))
      : h("input", { id, autocomplete: "off", spellcheck: "false", required: parameter.in === "path" });
    input.value = parameter.in === "header" ? "" : (this.#known(parameter) ?? "");
    if ("default" in parameter.schema) input.setAttribute("placeholder", parameter.schema.default);
    this.#inputs.set(parameter, input);
    return h(
      "div",
      { class: "parameter" },
      h(
        "label",
        { for: id },
        h("code", { text: parameter.name }),
        parameter.required && h("span", { class: "required", text: "*" }),
        h("span", { class: "type", text: ` ${parameter.in}, ${this.#schemas.type(parameter.schema)}` }),
      ),
      input,
      parameter.description && h("span", { class: "meaning" }, inline(parameter.description)),
    );
  }

  #known(parameter) {
    return parameter.required ? this.#caller.known[parameter.name] : undefined;
  }

  #textarea(body) {
    this.#body = h("textarea", { "aria-label": "Body", spellcheck: "false" });
    this.#body.value = this.#example(body);
    this.#body.rows = Math.min(this.#body.value.split("\n").length + 1, 16);
    return this.#body;
  }

  /** The example with what the caller has, and a key that was not used. */
  #example(body) {
    const example = structuredClone(body.example ?? {});
    for (const name of Object.keys(example)) {
      if (name === "idempotency_key") example[name] = crypto.randomUUID?.() ?? String(Date.now());
      else if (this.#schemes().includes("bearer") && name in this.#caller.known) example[name] = this.#caller.known[name];
    }
    return JSON.stringify(example, null, 2);
  }

  #refill(parameters, body) {
    for (const parameter of parameters) {
      const value = this.#known(parameter);
      if (value !== undefined) this.#inputs.get(parameter).value = value;
    }
    if (body && this.#body) this.#body.value = this.#example(body);
  }

  #request() {
    let path = this.path;
    const query = new URLSearchParams();
    const headers = {};
    for (const [parameter, input] of this.#inputs) {
      const value = input.value.trim();
      if (parameter.in === "path") path = path.replace(`{${parameter.name}}`, encodeURIComponent(value));
      else if (value && parameter.in === "query") query.append(parameter.name, value);
      else if (value) headers[parameter.name] = value;
    }
    const body = this.#body?.value.trim() || undefined;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    return { url: path + (query.size ? `?${query}` : ""), init: { method: this.verb, headers, body, cache: "no-store" } };
  }

  async #send(button, result) {
    button.disabled = true;
    const { url, init } = this.#request();
    try {
      Object.assign(init.headers, await this.#caller.headers(this.#schemes()));
      const started = performance.now();
      const answer = await fetch(url, init);
      const text = await answer.text();
      this.#show(result, answer, text, Math.round(performance.now() - started), url, init);
    } catch (error) {
      result.replaceChildren(h("p", { class: "failed", text: `There was no answer: ${error.message}` }));
    } finally {
      button.disabled = false;
    }
  }

  #show(result, answer, text, took, url, init) {
    const headers = SHOWN_HEADERS.flatMap((name) => (answer.headers.has(name) ? [`${name}: ${answer.headers.get(name)}`] : []));
    result.replaceChildren(
      h(
        "p",
        { class: answer.ok || answer.status === 304 ? "worked" : "failed" },
        h("strong", { class: "status", text: `${answer.status} ${answer.statusText}` }),
        h("span", { class: "quiet", text: ` in ${took} ms` }),
      ),
      h("pre", { class: "quiet", text: headers.join("\n") }),
      text ? h("pre", { class: "answer", text: pretty(text) }) : h("p", { class: "quiet", text: "no body" }),
      h("details", {}, h("summary", { text: "The same with curl" }), h("pre", { text: curl(url, init) })),
    );
  }

  #answers() {
    return Object.entries(this.described.responses).map(([status, one]) => {
      const answer = this.#schemas.resolve(one);
      const media = Object.values(answer.content ?? {})[0];
      const codes = media?.schema?.allOf?.[1]?.properties?.code?.enum;
      const details = h(
        "details",
        { class: "answer-kind" },
        h("summary", {}, h("strong", { text: status }), " ", inline(answer.description), codes && h("span", { class: "quiet", text: ` ${codes.join(", ")}` })),
      );
      details.addEventListener("toggle", () => {
        if (!details.open || details.childElementCount > 1) return;
        if (media?.example) details.append(h("pre", { text: JSON.stringify(media.example, null, 2) }));
        details.append(media ? this.#schemas.tree(media.schema) : h("p", { class: "quiet", text: "no body" }));
      });
      return details;
    });
  }
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** For a shell; secrets stay out of it. */
function curl(url, init) {
  const secrets = { Authorization: "Bearer $TOKEN", "X-API-Key": "$API_KEY" };
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const headers = Object.entries(init.headers).map(([name, value]) =>
    name in secrets ? `-H "${name}: ${secrets[name]}"` : `-H ${quoted(`${name}: ${value}`)}`,
  );
  const lines = [`curl -X ${init.method} ${quoted(location.origin + url)}`, ...headers];
  if (init.body !== undefined) lines.push(`-d ${quoted(init.body)}`);
  return lines.join(" \\\n  ");
}
