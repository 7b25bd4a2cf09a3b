// The little that is needed to draw.

/** An element. `props`: `text`, `on…` listeners and any attribute. What is null, undefined or false is left out. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") element.textContent = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Words with `code` and paragraphs, as elements: that much of Markdown is in descriptions. */
export function prose(text) {
  return (text ?? "")
    .split("\n\n")
    .filter(Boolean)
    .map((paragraph) => h("p", {}, inline(paragraph)));
}

export function inline(text) {
  return text.split("`").map((part, index) => (index % 2 ? h("code", { text: part }) : document.createTextNode(part)));
}
