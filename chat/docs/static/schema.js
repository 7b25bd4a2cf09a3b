// Schemas as people read them.

import { h, inline } from "./dom.js";

const DEEPEST = 5;

export class Schemas {
  #document;

  constructor(document) {
    this.#document = document;
  }

  /** What a reference leads to; anything else is itself. */
  resolve(part) {
    if (!part?.$ref) return part;
    return part.$ref
      .slice(2)
      .split("/")
      .reduce((found, step) => found[step.replaceAll("~1", "/").replaceAll("~0", "~")], this.#document);
  }

  /** The type in a few words, like `integer 1…200` or `array of Message`. */
  type(schema) {
    if (schema.$ref) return schema.$ref.slice(schema.$ref.lastIndexOf("/") + 1);
    const several = schema.anyOf ?? schema.oneOf ?? schema.allOf;
    if (several) return several.map((one) => this.type(one)).join(" or ");
    if ("const" in schema) return JSON.stringify(schema.const);
    if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
    if (schema.type === "array") return `array of ${this.type(schema.items ?? {})}${bounds(schema)}`;
    return `${schema.type ?? "any"}${bounds(schema)}`;
  }

  /** The fields of an object, what they are made of one click below. */
  tree(schema, depth = 0) {
    const found = this.resolve(schema);
    const several = found.anyOf ?? found.oneOf ?? found.allOf;
    if (several) return h("div", {}, several.map((one) => this.#inner(one, depth)));
    if (found.type === "array") return this.tree(found.items ?? {}, depth);
    const fields = Object.entries(found.properties ?? {});
    if (!fields.length) return h("p", { class: "quiet", text: this.type(found) });
    const required = new Set(found.required);
    return h("ul", { class: "fields" }, fields.map(([name, field]) => this.#field(name, field, required.has(name), depth)));
  }

  #inner(schema, depth) {
    if (depth >= DEEPEST) return h("p", { class: "quiet", text: this.type(schema) });
    const details = h("details", {}, h("summary", { text: this.type(schema) }));
    details.addEventListener("toggle", () => details.open && details.childElementCount < 2 && details.append(this.tree(schema, depth + 1)));
    return details;
  }

  #field(name, field, required, depth) {
    const inner = this.#composite(field);
    return h(
      "li",
      {},
      h("code", { class: "name", text: name }),
      required && h("span", { class: "required", title: "required", text: "*" }),
      " ",
      h("span", { class: "type", text: this.type(field) }),
      "default" in field && h("span", { class: "quiet", text: ` = ${JSON.stringify(field.default)}` }),
      field.description && h("span", { class: "meaning" }, inline(field.description)),
      inner && this.#inner(inner, depth),
    );
  }

  /** What of a field can be opened. */
  #composite(field) {
    if (field.$ref) return field;
    if (field.type === "array") return this.#composite(field.items ?? {});
    if (field.anyOf) return field.anyOf.map((one) => this.#composite(one)).find(Boolean);
    return field.properties ? field : undefined;
  }
}

function bounds(schema) {
  const least = schema.minimum ?? schema.minLength ?? schema.minItems;
  const most = schema.maximum ?? schema.maxLength ?? schema.maxItems;
  const range = least === undefined && most === undefined ? "" : ` ${least ?? ""}…${most ?? ""}`;
  return `${range}${schema.pattern ? ` matching ${schema.pattern}` : ""}${schema.format ? ` (${schema.format})` : ""}`;
}
