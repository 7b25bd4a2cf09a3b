// The little that is needed to draw: elements, icons, and lists that keep their elements.

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element. `props`: `text`, `on…` listeners, `data` and any attribute. What is null, undefined or false is left out,
 * among the children too.
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") element.textContent = value;
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** An icon of the page's sprite, invisible to screen readers. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", `icon icon-${name}`);
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function setAttribute(element, name, value) {
  if (value === null || value === undefined || value === false) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value === true ? "" : value);
}

/** Draws lists of `{key, …}` into a parent. An item's element lives as long as its key is listed. */
export class Keyed {
  #parent;
  #create;
  #update;
  #nodes = new Map(); // key → {element, item}

  /** `create(item)` → element, `update(element, item)` when a field of it changed. */
  constructor(parent, { create, update }) {
    this.#parent = parent;
    this.#create = create;
    this.#update = update;
  }

  draw(items) {
    const focused = this.#parent.contains(document.activeElement) ? document.activeElement : null;
    const nodes = new Map(items.map((item) => [item.key, this.#node(item)]));
    for (const [key, { element }] of this.#nodes) if (!nodes.has(key)) element.remove();
    let at = this.#parent.firstChild;
    for (const { element } of nodes.values()) {
      if (element === at) at = at.nextSibling;
      else this.#parent.insertBefore(element, at);
    }
    this.#nodes = nodes;
    if (focused?.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
  }

  element(key) {
    return this.#nodes.get(key)?.element;
  }

  #node(item) {
    const known = this.#nodes.get(item.key);
    if (!known) {
      const element = this.#create(item);
      this.#update(element, item);
      return { element, item };
    }
    if (!sameFields(known.item, item)) this.#update(known.element, item);
    return { element: known.element, item };
  }
}

function sameFields(a, b) {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}

/** A round picture of somebody: their initials on a colour that stays with them. */
export function avatar(id, { initials, hue, group = false }) {
  const kind = `avatar hue-${hue}${group ? " avatar-group" : ""}`;
  return h("span", { class: kind, "aria-hidden": "true", data: { id }, text: initials });
}
