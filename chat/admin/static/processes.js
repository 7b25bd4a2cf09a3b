// The table of processes: one row each, kept in place while its numbers move.
import { h, say, Spark } from "./dom.js";
import { isThere } from "./live.js";
import { age, bytes, count, milliseconds, percent, perSecond } from "./format.js";

const COLUMNS = [
  ["Process", ""],
  ["State", ""],
  ["Connections", "number"],
  ["In", "number"],
  ["Out", "number"],
  ["", "trend"],
  ["Ack p99", "number"],
  ["Loop lag p99", "number"],
  ["CPU", "number"],
  ["Memory", "number"],
  ["Up", "number"],
];

export class Processes {
  constructor(onScope) {
    this.onScope = onScope;
    this.rows = new Map();
    this.body = h("tbody");
    this.title = h("h2", {}, "Processes");
    this.element = h(
      "section",
      { class: "card" },
      h("header", {}, this.title),
      h(
        "div",
        { class: "scroll", tabindex: "0", role: "region", "aria-label": "Processes" },
        h("table", { class: "stacking" }, h("thead", {}, h("tr", {}, COLUMNS.map(([label, kind]) => h("th", { scope: "col", class: kind }, label)))), this.body),
      ),
    );
  }

  show(overview, scope, trends) {
    const present = new Set();
    for (const view of overview.processes) {
      present.add(view.process);
      const row = this.rows.get(view.process) ?? this.add(view);
      this.fill(row, view, overview.at, scope);
      row.spark.draw(trends.get(view.process) ?? []);
    }
    for (const [process, row] of this.rows) {
      if (present.has(process)) continue;
      row.element.remove();
      this.rows.delete(process);
    }
    // Only when the order changed: a row that is moved loses the focus that is in it.
    const ordered = overview.processes.map((view) => this.rows.get(view.process).element);
    if (ordered.some((element, index) => this.body.children[index] !== element)) this.body.replaceChildren(...ordered);
    const living = overview.processes.filter(isThere);
    const nodes = Object.keys(overview.nodes).length;
    say(this.title, `${living.length} ${living.length === 1 ? "process" : "processes"} on ${nodes} ${nodes === 1 ? "node" : "nodes"}`);
  }

  add(view) {
    const cells = COLUMNS.map(([label, kind]) => h("td", { class: kind, "data-label": label }));
    const spark = new Spark(60);
    const pick = h("button", { type: "button", class: "link", onclick: () => this.onScope(`process:${view.process}`) });
    const where = h("small", {});
    const state = h("span", { class: "state" }, h("i", {}), h("b", {}));
    cells[0].append(pick, where);
    cells[1].append(state);
    if (view.role === "hub") cells[5].append(spark.element);
    const row = { element: h("tr", {}, cells), cells, pick, where, state, spark };
    this.rows.set(view.process, row);
    return row;
  }

  fill(row, view, now, scope) {
    const { doing } = view;
    const gone = !isThere(view);
    row.element.dataset.state = view.state;
    row.element.dataset.chosen = String(scope === `process:${view.process}`);
    say(row.pick, view.role === view.slot ? view.role : `${view.role} ${view.slot}`);
    say(row.where, `${view.node} · pid ${view.pid} · ${view.version}`);
    row.state.dataset.level = { live: "good", stale: "warn", gone: "bad", unknown: "warn" }[view.state];
    say(row.state.lastChild, view.state === "live" ? "live" : `${view.state} ${age(view.age_s)}`);
    const hub = view.role === "hub";
    const texts = {
      2: hub ? count(doing.connections) : "",
      3: hub ? perSecond(doing.in_per_s) : "",
      4: hub ? perSecond(doing.out_per_s) : "",
      6: hub ? milliseconds(doing.ack_p99_ms) : "",
      7: milliseconds(doing.loop_lag_p99_ms),
      8: percent(doing.cpu_cores),
      9: bytes(doing.rss_bytes),
      10: age((now - view.started_at) / 1000),
    };
    for (const [index, text] of Object.entries(texts)) say(row.cells[index], gone ? "–" : text);
  }
}
