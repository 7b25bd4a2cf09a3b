// Small decisions about text. Pure.

export const HUES = 8;

const LINK = /\bhttps?:\/\/[^\s<>"']+/gu;
const AFTER_LINK = /[.,;:!?)\]}»”’]+$/u;

/** The text cut into plain pieces and links: [{text}, {text, href}]. A full stop or bracket after a link is not in it. */
export function pieces(text) {
  const found = [];
  let from = 0;
  for (const match of text.matchAll(LINK)) {
    const url = match[0].replace(AFTER_LINK, (tail) => (tail.startsWith(")") && match[0].includes("(") ? ")" : ""));
    if (!URL.canParse?.(url) && !parses(url)) continue;
    if (match.index > from) found.push({ text: text.slice(from, match.index) });
    found.push({ text: url, href: url });
    from = match.index + url.length;
  }
  if (from < text.length) found.push({ text: text.slice(from) });
  return found;
}

/** One or two letters that stand for a name. */
export function initials(name) {
  const words = name.trim().split(/[\s._-]+/u).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words[words.length - 1]] : words;
  return letters.map((word) => [...word][0]).join("").toLocaleUpperCase() || "?";
}

/** A colour (0 … HUES - 1) that stays with an id. */
export function hue(id) {
  let hash = 2166136261;
  for (const char of id) hash = Math.imul(hash ^ char.codePointAt(0), 16777619);
  return ((hash >>> 8) ^ (hash >>> 20)) % HUES;
}

/** Names as people write them: "Ann", "Ann and Bob", "Ann, Bob and 3 others". */
export function enumerate(names, most = 3) {
  if (names.length > most) {
    const rest = names.length - most + 1;
    return `${names.slice(0, most - 1).join(", ")} and ${rest} others`;
  }
  if (names.length < 2) return names.join("");
  return `${names.slice(0, -1).join(", ")} and ${names[names.length - 1]}`;
}

/** "1 member", "3 members". */
export function count(n, one, many = `${one}s`) {
  return `${n.toLocaleString()} ${n === 1 ? one : many}`;
}

/** Bytes of UTF-8, which is what limits are in. */
export function utf8Length(text) {
  return new TextEncoder().encode(text).length;
}

/** What a person should read of an error message `slug: $.field: rule`. */
export function readable(message) {
  const [slug, ...rest] = message.split(": ");
  if (!rest.length) return sentence(slug.replaceAll("_", " "));
  const field = rest[0].startsWith("$.") ? rest.shift().slice(2) : "";
  return sentence([field, rest.join(": ")].filter(Boolean).join(" "));
}

function sentence(text) {
  return text ? text.charAt(0).toUpperCase() + text.slice(1) : "Something went wrong";
}

function parses(url) {
  try {
    return Boolean(new URL(url));
  } catch {
    return false;
  }
}
