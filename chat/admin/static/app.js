// Puts the page together: routes in the address, keys, the state of the feed, one view at a time.
import { get, post } from "./api.js";
import { Connections } from "./connections.js";
import { Conversations } from "./conversations.js";
import { confirmed, showHelp } from "./dialogs.js";
import { age, processName } from "./format.js";
import { LiveFeed } from "./live.js";
import { Overview } from "./overview.js";
import { Push } from "./push.js";

const main = document.getElementById("main");
const status = document.getElementById("status");
const banner = document.getElementById("banner");

const PAGES = ["overview", "connections", "conversations", "push"];
const RANGES = [60_000, 300_000, 900_000];

// #/connections?search=ada&scope=node:a — so that a view can be sent to a colleague and reloaded.
function readAddress() {
  const [path, query = ""] = location.hash.slice(2).split("?");
  const parameters = new URLSearchParams(query);
  const range = Number(parameters.get("range"));
  return {
    page: PAGES.includes(path) ? path : "overview",
    scope: parameters.get("scope") ?? "total",
    range: RANGES.includes(range) ? range : RANGES[1],
    parameters,
  };
}

function writeAddress(changes) {
  const { page, parameters } = readAddress();
  for (const [name, value] of Object.entries(changes)) {
    if (value) parameters.set(name, value);
    else parameters.delete(name);
  }
  history.replaceState(null, "", `#/${page}${parameters.size ? `?${parameters}` : ""}`);
}

class App {
  constructor(session) {
    this.session = session;
    this.feed = new LiveFeed(readAddress().scope);
    this.view = null;
    this.page = "";
  }

  start() {
    this.feed.addEventListener("state", () => this.showState());
    this.feed.addEventListener("overview", () => this.showState());
    this.feed.open();
    window.addEventListener("hashchange", () => this.route());
    document.addEventListener("keydown", (event) => this.key(event));
    document.getElementById("theme").addEventListener("click", () => this.switchTheme());
    document.getElementById("help").addEventListener("click", showHelp);
    document.getElementById("sign-out").addEventListener("click", () => this.signOut());
    this.route();
  }

  route() {
    const { page, scope, range, parameters } = readAddress();
    this.feed.follow(scope);
    for (const link of document.querySelectorAll(".tabs a")) {
      if (link.dataset.page === page) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    if (page === this.page) return;
    this.view?.destroy();
    this.page = page;
    document.title = `${page[0].toUpperCase()}${page.slice(1)} · Hubbub`;
    this.view = this.make(page, range, parameters);
    main.replaceChildren(this.view.element);
    this.view.mounted?.();
    window.scrollTo(0, 0);
  }

  make(page, range, parameters) {
    const { feed, session } = this;
    if (page === "connections") {
      return new Connections({ feed, parameters, onChange: writeAddress, onSignedOut: () => this.signedOut() });
    }
    if (page === "conversations") return new Conversations({ feed, onSignedOut: () => this.signedOut() });
    if (page === "push") return new Push({ feed, onSignedOut: () => this.signedOut() });
    return new Overview({
      feed,
      reasons: session.reasons,
      range,
      onScope: (scope) => {
        writeAddress({ scope: scope === "total" ? "" : scope });
        feed.follow(scope);
      },
      onRange: (ms) => this.setRange(ms),
    });
  }

  setRange(ms) {
    writeAddress({ range: ms === RANGES[1] ? "" : ms });
    this.view.setRange?.(ms);
  }

  showState() {
    const { feed } = this;
    const seconds = age(feed.silentMs / 1000);
    const texts = {
      live: "Live",
      connecting: "Connecting",
      stale: `Stale · ${seconds}`,
      down: feed.silentMs > 0 ? `Down · ${seconds}` : "Down",
      paused: "Paused",
      "signed-out": "Signed out",
    };
    if (status.dataset.state !== feed.state) status.dataset.state = feed.state;
    if (status.lastChild.textContent !== texts[feed.state]) status.lastChild.textContent = texts[feed.state];
    document.body.classList.toggle("stale", !["live", "connecting"].includes(feed.state));
    this.warn(this.warning());
  }

  warning() {
    const { overview, state, silentMs } = this.feed;
    const old = `What you see is ${age(silentMs / 1000)} old.`;
    if (state === "signed-out") return ["bad", "Your session has ended. Make a new link with “hubbub admin link” and open it here."];
    if (state === "down") return ["bad", `The connection to the server is lost; trying again. ${silentMs > 0 ? old : ""}`];
    if (state === "stale") return ["warn", `The server sends nothing new. ${old}`];
    if (!overview) return null;
    const { status: health, reasons } = overview.health;
    const away = (name) => reasons.some((reason) => reason.startsWith(`${name}_`));
    if (away("mongodb")) return ["bad", "MongoDB cannot be reached: nothing can be sent or read until it is back. Sockets stay open."];
    if (overview.source === "process") return ["warn", "Redis cannot be reached: only this process is shown. Messages are still stored, acknowledged and delivered."];
    if (away("redis")) return ["warn", "Redis cannot be reached: messages are still stored, acknowledged and delivered, a little later."];
    if (health !== "ok") return ["warn", `Not ready: ${reasons.join(", ")}.`];
    const hung = overview.processes.filter((each) => each.state === "stale");
    if (hung.length > 0) return ["warn", `${hung.map(processName).join(", ")}: no news for ${age(hung[0].age_s)}.`];
    return null;
  }

  warn(warning) {
    banner.hidden = warning === null;
    if (warning === null) return;
    banner.dataset.level = warning[0];
    if (banner.textContent !== warning[1]) banner.textContent = warning[1];
  }

  signedOut() {
    location.assign("/admin/login");
  }

  async signOut() {
    if (!(await confirmed({ title: "Sign out?", text: "To come back you need a new link from the server.", yes: "Sign out" }))) return;
    await post("/admin/api/logout", {}).catch(() => {}); // gone either way
    this.signedOut();
  }

  switchTheme() {
    const root = document.documentElement;
    root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
    try {
      localStorage.setItem("hubbub-theme", root.dataset.theme);
    } catch {
      // Then it lasts until the page is reloaded.
    }
    this.view.restyle?.();
  }

  key(event) {
    const typing = event.target.closest?.("input, select, textarea, dialog[open]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = (by) => this.setRange(RANGES[Math.min(2, Math.max(0, RANGES.indexOf(readAddress().range) + by))]);
    const actions = {
      1: () => location.assign("#/overview"),
      2: () => location.assign("#/connections"),
      3: () => location.assign("#/conversations"),
      4: () => location.assign("#/push"),
      "/": () => (this.view.focusSearch ? this.view.focusSearch() : location.assign("#/connections")),
      s: () => this.view.focusScope?.(),
      "[": () => step(-1),
      "]": () => step(1),
      t: () => this.switchTheme(),
      "?": () => showHelp(),
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }
}

try {
  new App(await get("/admin/api/session")).start();
} catch (error) {
  if (error.status === 401) location.replace("/admin/login");
  else {
    banner.hidden = false;
    banner.dataset.level = "bad";
    banner.textContent = `The page could not start: ${error.message}. Reload to try again.`;
  }
}
