// The live feed: one event stream, the columns of the scope that is charted, and how fresh all of it is.
import { get } from "./api.js";

const STALE_AFTER_MS = 3500;
const HIDDEN_CLOSE_MS = 60_000;
const GAP_MS = 25_000; // a pause longer than the server's idle interval breaks the line instead of bridging it
const TREND = 60;
const MAX_RETRY_MS = 10_000;

export const isThere = ({ state }) => state === "live" || state === "stale";

export class LiveFeed extends EventTarget {
  #source = null;
  #retry = null;
  #attempts = 0;
  #hidden = null;
  #heardAt = 0;
  #failing = false;
  #signedOut = false;

  constructor(scope) {
    super();
    this.scope = scope;
    this.overview = null;
    this.columns = { at: [] };
    this.trends = new Map(); // deliveries per second of each process, for its row
    this.keptMs = 900_000;
    document.addEventListener("visibilitychange", () => this.#visibility());
    setInterval(() => this.#tell("state"), 500);
  }

  // "live" | "connecting" | "stale" | "down" | "signed-out" | "paused"
  get state() {
    if (this.#signedOut) return "signed-out";
    if (this.#source === null && this.#retry === null && this.#heardAt > 0) return "paused";
    if (this.#failing) return "down";
    if (this.#heardAt === 0) return "connecting";
    return this.silentMs > STALE_AFTER_MS ? "stale" : "live";
  }

  get silentMs() {
    return this.#heardAt === 0 ? 0 : performance.now() - this.#heardAt;
  }

  open() {
    this.#close();
    const query = new URLSearchParams({ scope: this.scope });
    if (this.columns.at.length > 0) query.set("after", String(this.columns.at.at(-1)));
    const source = new EventSource(`/admin/api/live?${query}`);
    source.addEventListener("full", (event) => this.#full(JSON.parse(event.data)));
    source.addEventListener("tick", (event) => this.#tick(JSON.parse(event.data).overview));
    source.addEventListener("error", () => this.#failed(source));
    this.#source = source;
  }

  follow(scope) {
    if (scope === this.scope) return;
    this.scope = scope;
    this.columns = { at: [] };
    this.open();
    if (this.overview) this.#tell("overview");
  }

  // What the overview says about a scope; null if it is gone.
  static point(overview, scope) {
    if (scope.startsWith("node:")) return overview.nodes[scope.slice(5)] ?? null;
    if (scope.startsWith("process:")) {
      const found = overview.processes.find((each) => `process:${each.process}` === scope);
      return found && isThere(found) ? found.doing : null;
    }
    return overview.total;
  }

  // The same for the charts: a sum without those that cannot be asked about would draw a drop that never was.
  static drawn(overview, scope) {
    const partial = overview.processes.some((each) => each.state === "unknown");
    return partial && !scope.startsWith("process:") ? null : LiveFeed.point(overview, scope);
  }

  #full({ scope, overview, history, trends, kept_s: keptS }) {
    if (scope !== this.scope) return;
    this.keptMs = keptS * 1000;
    history.at.forEach((at, index) => this.#append(at, (field) => history[field][index], Object.keys(history)));
    this.trends = new Map(Object.entries(trends));
    this.#heard(overview);
  }

  #tick(overview) {
    const point = LiveFeed.drawn(overview, this.scope);
    if (point) this.#append(overview.at, (field) => point[field], Object.keys(this.columns));
    for (const view of overview.processes) {
      const trend = this.trends.get(view.process) ?? [];
      this.trends.set(view.process, [...trend.slice(1 - TREND), isThere(view) ? (view.doing.out_per_s ?? null) : null]);
    }
    this.#heard(overview);
  }

  #append(at, value, fields) {
    const { columns } = this;
    for (const field of fields) columns[field] ??= [];
    const last = columns.at.at(-1) ?? 0;
    if (at <= last) return;
    if (last > 0 && at - last > GAP_MS) this.#push(last + 1, () => null);
    this.#push(at, value);
    while (columns.at[0] < at - this.keptMs) for (const field in columns) columns[field].shift();
  }

  #push(at, value) {
    for (const field in this.columns) this.columns[field].push(field === "at" ? at : value(field) ?? null);
  }

  #heard(overview) {
    this.#heardAt = performance.now();
    this.#failing = false;
    this.#attempts = 0;
    this.overview = overview;
    this.#tell("overview");
    this.#tell("state");
  }

  async #failed(source) {
    if (source !== this.#source) return;
    this.#failing = true;
    this.#tell("state");
    if (source.readyState !== EventSource.CLOSED) return; // it reconnects by itself
    this.#close();
    const wait = Math.random() * Math.min(MAX_RETRY_MS, 1000 * 2 ** this.#attempts);
    this.#attempts += 1;
    this.#retry = setTimeout(() => this.#again(), 500 + wait);
  }

  async #again() {
    this.#retry = null;
    try {
      await get("/admin/api/session"); // an EventSource does not say why it was refused
    } catch (error) {
      this.#signedOut = error.status === 401;
      this.#tell("state");
      if (this.#signedOut) return;
    }
    this.open();
  }

  #visibility() {
    clearTimeout(this.#hidden);
    if (document.hidden) this.#hidden = setTimeout(() => this.#close(), HIDDEN_CLOSE_MS);
    else if (this.#source === null && this.#retry === null && !this.#signedOut) this.open();
  }

  #close() {
    clearTimeout(this.#retry);
    this.#retry = null;
    this.#source?.close();
    this.#source = null;
  }

  #tell(type) {
    this.dispatchEvent(new Event(type));
  }
}
