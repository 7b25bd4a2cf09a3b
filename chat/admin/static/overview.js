// The overview: tiles, charts, processes, dependencies, disconnects.
import { Charts } from "./charts.js";
import { h, say, Spark } from "./dom.js";
import { bytes, count, milliseconds, percent, perSecond, processName, short } from "./format.js";
import { isThere, LiveFeed } from "./live.js";
import { Processes } from "./processes.js";

// `level` is what colours a tile; limits are where people start to feel it.
const over = (amber, red) => (value) => (value == null || value < amber ? "" : value < red ? "warn" : "bad");

const TILES = [
  {
    label: "Connections",
    value: (p) => count(p.connections),
    detail: (p) => `+${perSecond(p.opened_per_s)}  −${perSecond(p.closed_per_s)}`,
    about: "Open WebSocket connections; below, how many open and end.",
    spark: "connections",
  },
  {
    label: "Users",
    value: (p) => count(p.users),
    detail: (p) => `${count(p.subscriptions)} subscriptions`,
    about: "Users with a connection, counted once per process.",
    spark: "users",
  },
  {
    label: "Messages in",
    value: (p) => perSecond(p.in_per_s),
    detail: (p) => `${perSecond(p.stored_per_s)} stored`,
    spark: "in_per_s",
  },
  {
    label: "Messages out",
    value: (p) => perSecond(p.out_per_s),
    detail: (p) => `${bytes(p.sent_bytes_per_s)}/s`,
    about: "Deliveries: one per message and receiving connection.",
    spark: "out_per_s",
  },
  {
    label: "Ack p99",
    value: (p) => milliseconds(p.ack_p99_ms),
    detail: (p) => `p50 ${milliseconds(p.ack_p50_ms)}`,
    about: "From receiving a message to answering that it is stored.",
    level: (p) => over(150, 1000)(p.ack_p99_ms),
    spark: "ack_p99_ms",
  },
  {
    label: "Fan-out p99",
    value: (p) => milliseconds(p.fan_out_p99_ms),
    detail: (p) => `p50 ${milliseconds(p.fan_out_p50_ms)}`,
    level: (p) => over(50, 250)(p.fan_out_p99_ms),
    spark: "fan_out_p99_ms",
  },
  {
    label: "Loop lag p99",
    value: (p) => milliseconds(p.loop_lag_p99_ms),
    detail: (p) => `p50 ${milliseconds(p.loop_lag_p50_ms)}`,
    level: (p) => over(50, 250)(p.loop_lag_p99_ms),
    spark: "loop_lag_p99_ms",
  },
  {
    label: "Bus",
    value: (p) => (p.bus_alive == null ? "–" : p.bus_alive === 1 ? "Alive" : p.bus_alive === 0 ? "Away" : `${percent(p.bus_alive)} alive`),
    detail: (p) =>
      p.bus_dropped_per_s > 0
        ? `${perSecond(p.bus_dropped_per_s)} dropped`
        : p.bus_filled_per_s > 0
          ? `${perSecond(p.bus_filled_per_s)} lost, read from the log`
          : `lag p99 ${milliseconds(p.bus_lag_p99_ms)}`,
    about: "Redis pub/sub between processes. What it loses is read from the log.",
    level: (p) => (p.bus_alive == null || p.bus_alive === 1 ? "" : p.bus_alive === 0 ? "bad" : "warn"),
    spark: "bus_received_per_s",
  },
];

const RANGES = [
  ["1 min", 60_000],
  ["5 min", 300_000],
  ["15 min", 900_000],
];

export class Overview {
  constructor({ feed, reasons, range, onRange, onScope }) {
    this.feed = feed;
    this.reasons = reasons;
    this.onScope = onScope;
    this.tiles = TILES.map((spec) => new Tile(spec));
    this.charts = new Charts();
    this.processes = new Processes(onScope);
    this.scope = h("select", { id: "scope", title: "What is shown (s)", onchange: () => onScope(this.scope.value) });
    this.ranges = RANGES.map(([label, ms]) => h("button", { type: "button", onclick: () => onRange(ms), "data-ms": ms }, label));
    this.servers = h("ul", { class: "servers" });
    this.disconnects = h("tbody");
    this.noDisconnects = h("p", { class: "empty" }, "No disconnects yet");
    this.recoveries = h("p", { class: "note" });
    this.element = h(
      "div",
      { class: "overview" },
      h(
        "div",
        { class: "controls" },
        h("label", { class: "picker" }, h("span", {}, "Showing"), this.scope),
        h("div", { class: "segments", role: "group", "aria-label": "Time range of the charts" }, this.ranges),
      ),
      h("section", { class: "tiles", "aria-label": "Now" }, this.tiles.map((tile) => tile.element)),
      this.charts.element,
      this.processes.element,
      h(
        "div",
        { class: "pair" },
        h(
          "section",
          { class: "card" },
          h("header", {}, h("h2", {}, "Disconnects by code")),
          h(
            "table",
            { class: "compact" },
            h(
              "thead",
              {},
              h("tr", {}, ...["Code", "Meaning"].map((t) => h("th", { scope: "col" }, t)), ...["Last minute", "Total"].map((t) => h("th", { scope: "col", class: "number" }, t))),
            ),
            this.disconnects,
          ),
          this.noDisconnects,
        ),
        h("section", { class: "card" }, h("header", {}, h("h2", {}, "Servers and recovery")), this.servers, this.recoveries),
      ),
    );
    this.setRange(range);
    this.update = this.update.bind(this);
    feed.addEventListener("overview", this.update);
  }

  mounted() {
    this.update();
  }

  destroy() {
    this.feed.removeEventListener("overview", this.update);
    this.charts.destroy();
  }

  restyle() {
    this.charts.restyle();
  }

  focusScope() {
    this.scope.focus();
  }

  setRange(ms) {
    this.charts.rangeMs = ms;
    for (const button of this.ranges) button.setAttribute("aria-pressed", String(button.dataset.ms === String(ms)));
    if (this.feed.overview) this.charts.draw(this.feed.columns, this.feed.overview.at);
  }

  update() {
    const { overview, scope, columns } = this.feed;
    if (!overview) return;
    const point = LiveFeed.point(overview, scope);
    this.offerScopes(overview, scope);
    for (const tile of this.tiles) tile.show(point ?? {}, columns, scope);
    this.charts.draw(columns, overview.at);
    this.processes.show(overview, scope, this.feed.trends);
    this.showServers(overview);
    this.showDisconnects(overview.disconnects);
  }

  offerScopes(overview, scope) {
    const living = overview.processes.filter(isThere);
    const options = [
      ["total", `All (${living.length} ${living.length === 1 ? "process" : "processes"})`],
      ...Object.keys(overview.nodes).map((node) => [`node:${node}`, `Node ${node}`]),
      ...living.map((each) => [`process:${each.process}`, processName(each)]),
    ];
    if (!options.some(([value]) => value === scope)) options.push([scope, `${scope.split(":")[1]} (gone)`]);
    const key = JSON.stringify(options);
    if (key !== this.offered) {
      this.offered = key;
      this.scope.replaceChildren(...options.map(([value, label]) => h("option", { value }, label)));
    }
    this.scope.value = scope;
  }

  showServers({ health }) {
    const items = Object.entries(health.dependencies).map(([name, { status, latency_ms: latency, reason }]) =>
      h(
        "li",
        { "data-level": status === "ok" ? "good" : "bad" },
        h("i", {}),
        h("span", {}, { mongodb: "MongoDB", redis: "Redis" }[name] ?? name),
        h("b", {}, status === "ok" ? milliseconds(latency) : reason === "timeout" ? "does not answer" : "cannot be reached"),
      ),
    );
    this.servers.replaceChildren(...items);
    const { yes, no } = this.feed.overview.recoveries;
    const kept = yes?.total ?? 0;
    const lost = no?.total ?? 0;
    say(
      this.recoveries,
      kept + lost === 0
        ? "No client has resumed yet."
        : `${count(kept)} of ${count(kept + lost)} resumed positions were recovered (${percent(kept / (kept + lost))}); ` +
            `${count((yes?.last_minute ?? 0) + (no?.last_minute ?? 0))} in the last minute.`,
    );
  }

  showDisconnects(disconnects) {
    const rows = Object.entries(disconnects)
      .sort(([, a], [, b]) => b.last_minute - a.last_minute || b.total - a.total)
      .slice(0, 8)
      .map(([code, { total, last_minute: lastMinute }]) =>
        h(
          "tr",
          {},
          h("td", {}, code === "0" ? "–" : code),
          h("td", {}, code === "0" ? "by the client or the network" : (this.reasons[code] ?? "")),
          h("td", { class: "number" }, short(lastMinute)),
          h("td", { class: "number" }, short(total)),
        ),
      );
    this.disconnects.replaceChildren(...rows);
    this.disconnects.parentElement.hidden = rows.length === 0;
    this.noDisconnects.hidden = rows.length > 0;
  }
}

class Tile {
  constructor(spec) {
    this.spec = spec;
    this.value = h("strong", {}, "–");
    this.detail = h("small", {}, " ");
    this.spark = new Spark();
    this.values = [];
    this.element = h("div", { class: "tile", title: spec.about }, h("span", {}, spec.label), this.value, this.detail, this.spark.element);
  }

  show(point, columns, scope) {
    const { value, detail, level, spark } = this.spec;
    say(this.value, value(point));
    say(this.detail, detail(point));
    this.element.dataset.level = level?.(point) ?? "";
    if (scope !== this.scope) this.values = [];
    this.scope = scope;
    this.values = [...this.values.slice(-59), point[spark] ?? null];
    this.spark.draw(columns[spark] ?? this.values); // what is charted has a past already
  }
}
