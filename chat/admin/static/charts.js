// The charts of the overview, all on one time axis and with one cursor.
import uPlot from "./vendor/uplot/uPlot.esm.js";
import { h, say } from "./dom.js";
import { milliseconds, perSecond, short } from "./format.js";

const P50_P99 = (key) => [
  { field: `${key}_p99_ms`, label: "p99", color: "--series-2" },
  { field: `${key}_p50_ms`, label: "p50", color: "--series-1", fill: true },
];

const CHARTS = [
  {
    title: "Connections",
    about: "Open WebSocket connections.",
    format: short,
    series: [{ field: "connections", label: "open", color: "--series-1", fill: true }],
  },
  {
    title: "Messages",
    about: "In: publications accepted from clients and the APIs (left axis). Out: deliveries to sockets (right axis).",
    format: perSecond,
    series: [
      { field: "in_per_s", label: "in", color: "--series-3", axis: "in", low: true },
      { field: "out_per_s", label: "out", color: "--series-1", axis: "out", fill: true },
    ],
  },
  {
    title: "Fan-out",
    about: "Handing a batch of publications to all its receivers. Of the last ten seconds.",
    format: milliseconds,
    series: P50_P99("fan_out"),
  },
  {
    title: "Ack",
    about: "From receiving a message to answering that it is stored. Of the last ten seconds.",
    format: milliseconds,
    series: P50_P99("ack"),
  },
  {
    title: "Event-loop lag",
    about: "How late the event loop calls due timers; everything waits at least so long. The worst process.",
    format: milliseconds,
    series: P50_P99("loop_lag"),
  },
  {
    title: "Group commit",
    about: "Entries that are committed together. Larger under load: that is how the log keeps up.",
    format: short,
    series: [
      { field: "batch_p99", label: "p99", color: "--series-2" },
      { field: "batch_p50", label: "p50", color: "--series-1", fill: true },
    ],
  },
  {
    title: "Bus traffic",
    about: "Deliveries that processes tell each other through Redis.",
    format: perSecond,
    series: [
      { field: "bus_published_per_s", label: "published", color: "--series-3" },
      { field: "bus_received_per_s", label: "received", color: "--series-1", fill: true },
    ],
  },
  {
    title: "Bus lag",
    about: "From publishing on the bus to hearing it on another process. Of the last ten seconds.",
    format: milliseconds,
    series: P50_P99("bus_lag"),
  },
];

const SECONDS = [5, 10, 15, 30, 60, 120, 180, 300, 600];
const HEIGHT = 168;

export class Charts {
  constructor() {
    this.rangeMs = 300_000;
    this.cards = CHARTS.map((spec) => new Chart(spec, this));
    this.element = h("section", { class: "charts", "aria-label": "Charts" }, this.cards.map((card) => card.element));
    this.resizing = new ResizeObserver(() => this.cards.forEach((card) => card.resize()));
    this.resizing.observe(this.element);
  }

  draw(columns, now) {
    this.now = now;
    for (const card of this.cards) card.draw(columns);
  }

  restyle() {
    for (const card of this.cards) card.build();
  }

  destroy() {
    this.resizing.disconnect();
    for (const card of this.cards) card.plot?.destroy();
  }
}

class Chart {
  constructor(spec, charts) {
    this.spec = spec;
    this.charts = charts;
    this.values = spec.series.map(() => h("b", {}, "–"));
    const legend = spec.series.map((series, index) => {
      const dot = h("i", {});
      dot.style.setProperty("--dot", `var(${series.color})`);
      return h("span", {}, dot, series.label, " ", this.values[index]);
    });
    this.canvas = h("div", { class: "plot", role: "img", "aria-label": spec.title });
    this.element = h(
      "article",
      { class: "card chart" },
      h("header", {}, h("h2", { title: spec.about }, spec.title), h("div", { class: "legend" }, legend)),
      this.canvas,
      (this.empty = h("p", { class: "empty", hidden: true }, "Nothing observed yet")),
    );
    this.data = [[], ...spec.series.map(() => [])];
  }

  draw(columns) {
    const from = this.charts.now - this.charts.rangeMs;
    let start = columns.at.findIndex((at) => at >= from);
    start = start < 0 ? columns.at.length : Math.max(0, start - 1); // one point to the left of the edge, so the line enters
    this.data = [
      columns.at.slice(start).map((at) => at / 1000),
      ...this.spec.series.map(({ field }) => (columns[field] ?? columns.at.map(() => null)).slice(start)),
    ];
    this.empty.hidden = this.data.slice(1).some((column) => column.some((value) => value != null));
    if (this.plot) this.plot.setData(this.data);
    else this.build();
    this.legend();
  }

  // The numbers under the cursor, else the latest.
  legend() {
    const { idx } = this.plot?.cursor ?? {};
    this.values.forEach((element, index) => {
      const column = this.data[index + 1];
      say(element, this.spec.format((idx == null ? column.at(-1) : column[idx]) ?? null));
    });
  }

  resize() {
    const width = this.canvas.clientWidth;
    if (this.plot && width > 0) this.plot.setSize({ width, height: HEIGHT });
  }

  build() {
    this.plot?.destroy();
    this.plot = null;
    const width = this.canvas.clientWidth;
    if (width > 0) this.plot = new uPlot(this.options(width), this.data, this.canvas);
  }

  options(width) {
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    const grid = { stroke: color("--grid"), width: 1 };
    const axis = { stroke: color("--muted"), font: `11px ${style.getPropertyValue("--font")}`, grid, ticks: { show: false } };
    const { series, format } = this.spec;
    const scales = { x: { time: true, range: () => [(this.charts.now - this.charts.rangeMs) / 1000, this.charts.now / 1000] } };
    const axes = [{ ...axis, grid: { show: false }, size: 30, gap: 8, space: 58, incrs: SECONDS, values: (_, ticks) => ticks.map(clock) }];
    [...new Set(series.map((each) => each.axis ?? "y"))].forEach((scale, index) => {
      const own = series.find((each) => (each.axis ?? "y") === scale);
      // Two axes in one chart: the second line stays in the lower half, so that lines of one shape do not hide each other.
      scales[scale] = { range: (_, __, highest) => [0, nice(highest * (own.low ? 2 : 1))] };
      axes.push({
        ...axis,
        scale,
        side: index === 0 ? 3 : 1,
        size: 50,
        space: 34,
        grid: index === 0 ? grid : { show: false },
        stroke: own.axis ? color(own.color) : axis.stroke,
        values: (_, ticks) => ticks.map((tick) => format(tick).replace("/s", "")),
      });
    });
    return {
      width,
      height: HEIGHT,
      padding: [8, series.some((each) => each.axis) ? 0 : 12, 0, 0],
      legend: { show: false },
      cursor: { sync: { key: "overview", setSeries: false }, y: false, points: { size: 7 }, drag: { x: false, y: false } },
      scales,
      axes,
      series: [
        {},
        ...series.map((each) => ({
          scale: each.axis ?? "y",
          stroke: color(each.color),
          width: 1.75,
          points: { show: false },
          fill: each.fill ? fade(color(each.color)) : undefined,
        })),
      ],
      hooks: { setCursor: [() => this.legend()] },
    };
  }
}

function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
}

// The top of an axis: 1, 2 or 5 times a power of ten, with some air, so that it does not jump every second.
function nice(highest) {
  if (!(highest > 0)) return 1;
  const wanted = highest * 1.15;
  const power = 10 ** Math.floor(Math.log10(wanted));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((top) => top >= wanted);
}

function fade(color) {
  return (plot) => {
    const { ctx, bbox } = plot;
    if (!Number.isFinite(bbox.height) || bbox.height <= 0) return `${color}20`;
    const gradient = ctx.createLinearGradient(0, bbox.top, 0, bbox.top + bbox.height);
    gradient.addColorStop(0, `${color}40`);
    gradient.addColorStop(1, `${color}04`);
    return gradient;
  };
}
