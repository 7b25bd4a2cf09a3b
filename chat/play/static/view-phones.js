// Draws the phones: a screen with its banners, the switches, and what has happened.

import { h, icon, Keyed, setAttribute, setText } from "./dom.js";
import { happened, rang, summary, SWITCHES } from "./phones-text.js";

const SHAKES_MS = 900;

export class PhonesView {
  #phones;

  /** `turn(phone, switch)`; `clock(at)` writes a moment to the second. */
  constructor(parent, { turn, clock }) {
    this.#phones = new Keyed(parent, {
      create: ({ phone }) => newPhone(phone, { turn, clock }),
      update: (element, { phone }) => element.draw(phone),
    });
  }

  draw(phones) {
    this.#phones.draw(phones.map((phone) => ({ key: phone.id, phone })));
  }
}

function newPhone(first, { turn, clock }) {
  const title = `phone-${first.id}`;
  const told = h("p", { class: "phone-told" });
  const badge = h("span", { class: "phone-badge", hidden: true });
  const tray = h("ul", { class: "tray", "aria-label": "Notifications" });
  const clean = h("p", { class: "phone-clean", text: "No notifications" });
  const sweep = h("button", {
    class: "plain phone-sweep", type: "button", text: "Sweep away", onclick: () => turn(first.id, "dismiss"),
  });
  const log = h("ol", { class: "phone-log", "aria-label": "What has happened", tabindex: "0" });
  const switches = new Map(
    SWITCHES.filter(({ id }) => id in first.switches).map(({ id, name, hint }) => [id, newSwitch(first.id, id, name, hint, turn)]),
  );
  const screen = h("div", { class: "phone-screen" },
    h("div", { class: "phone-bar", "aria-hidden": "true" },
      h("span", { class: "phone-app" }, mark(), badge), h("span", { class: "phone-state" })),
    tray, clean);
  const element = h("li", { class: `phone phone-${first.platform}`, "aria-labelledby": title, data: { id: first.id } },
    h("header", { class: "phone-head" }, h("h2", { id: title, text: first.name }), told, sweep),
    screen,
    h("div", { class: "phone-switches", role: "group", "aria-label": "Switches" }, ...switches.values()),
    log);

  const banners = new Keyed(tray, { create: () => newBanner(), update: (row, { banner }) => row.draw(banner, first.user, clock) });
  const lines = new Keyed(log, { create: ({ line }) => newLine(line, clock), update: () => {} });
  let rings = first.rings;

  element.draw = (phone) => {
    setText(told, `${summary(phone)} · badge ${phone.badge}`);
    setText(badge, String(phone.badge));
    badge.hidden = phone.badge === 0;
    setText(screen.querySelector(".phone-state"), stateOf(phone.switches));
    setAttribute(screen, "data-away", phone.switches.offline);
    banners.draw(phone.banners.map((banner) => ({ key: banner.key, banner })));
    clean.hidden = phone.banners.length > 0;
    sweep.hidden = phone.banners.length === 0;
    lines.draw(phone.log.map((line) => ({ key: line.number, line })));
    for (const [id, button] of switches) setAttribute(button, "aria-checked", String(phone.switches[id]));
    if (phone.rings > rings) shake(element);
    rings = phone.rings;
  };
  return element;
}

function newSwitch(phone, id, name, hint, turn) {
  return h("button", {
    class: "switch", type: "button", role: "switch", "aria-checked": "false", title: hint, data: { switch: id },
    onclick: () => turn(phone, id),
  }, h("span", { class: "switch-track", "aria-hidden": "true" }), h("span", { text: name }));
}

function newBanner() {
  const title = h("span", { class: "banner-title", dir: "auto" });
  const body = h("span", { class: "banner-body", dir: "auto" });
  const when = h("span", { class: "banner-when" });
  const sound = h("span", { class: "banner-sound", "aria-hidden": "true" });
  const link = h("a", { class: "banner-link" }, title, body, h("span", { class: "banner-foot" }, sound, when));
  const element = h("li", { class: "banner" }, link);
  element.draw = (banner, user, clock) => {
    setText(title, banner.title);
    setText(body, banner.body);
    setText(when, rang(banner, clock));
    sound.replaceChildren(icon(banner.rang_at === null ? "silent" : "bell"));
    const at = banner.conversation ? `#${encodeURIComponent(banner.conversation)}` : "";
    setAttribute(link, "href", `/play?as=${encodeURIComponent(user)}${at}`);
  };
  return element;
}

function newLine(line, clock) {
  return h("li", { class: "phone-line", data: { what: line.what } },
    h("time", { datetime: new Date(line.at).toISOString(), text: clock(line.at) }),
    h("span", { dir: "auto", text: happened(line) }));
}

function stateOf(switches) {
  if (switches.offline) return "No network";
  if (switches.ended) return "App stopped";
  if (!switches.pocket) return "App open";
  return switches.dozing ? "Dozing" : "";
}

function mark() {
  const svg = icon("mark");
  svg.setAttribute("class", "mark");
  return svg;
}

function shake(element) {
  element.classList.add("rings");
  setTimeout(() => element.classList.remove("rings"), SHAKES_MS);
}
