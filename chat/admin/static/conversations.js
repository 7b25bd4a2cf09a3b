// The busiest conversations right now.
import { get } from "./api.js";
import { h, say } from "./dom.js";
import { count, perSecond, processName } from "./format.js";
import { Poller } from "./poller.js";

export class Conversations {
  constructor({ feed, onSignedOut }) {
    this.feed = feed;
    this.onSignedOut = onSignedOut;
    this.note = h("p", { class: "note", role: "status" }, "Asking…");
    this.body = h("tbody");
    const columns = [
      ["Conversation", ""],
      ["Deliveries", "number"],
      ["", "meter"],
      ["Subscribers", "number"],
      ["Where", ""],
    ];
    this.table = h(
      "table",
      { class: "stacking single" },
      h("thead", {}, h("tr", {}, columns.map(([label, kind]) => h("th", { scope: "col", class: kind }, label)))),
      this.body,
    );
    this.element = h(
      "div",
      { class: "list" },
      this.note,
      h("div", { class: "card scroll", tabindex: "0", role: "region", "aria-label": "Hot conversations" }, this.table),
    );
    this.poller = new Poller({
      everyMs: 2000,
      ask: (signal) => get("/admin/api/conversations", {}, signal),
      onAnswer: ({ items }) => this.show(items),
      onError: (error) => this.fail(error),
    });
  }

  mounted() {
    this.poller.run();
  }

  destroy() {
    this.poller.end();
  }

  show(items) {
    const most = items[0]?.deliveries_per_s ?? 1;
    const names = new Map(this.feed.overview?.processes.map((each) => [each.process, processName(each)]));
    this.body.replaceChildren(
      ...items.map((hot) => {
        const meter = h("i", {});
        meter.style.width = `${(100 * hot.deliveries_per_s) / most}%`;
        return h(
          "tr",
          {},
          h("td", { class: "mono", "data-label": "Conversation" }, hot.conversation),
          h("td", { class: "number", "data-label": "Deliveries" }, perSecond(hot.deliveries_per_s)),
          h("td", { class: "meter" }, h("span", {}, meter)),
          h("td", { class: "number", "data-label": "Subscribers" }, count(hot.subscribers)),
          h("td", { "data-label": "Where" }, hot.processes.map((process) => names.get(process) ?? process).join(", ")),
        );
      }),
    );
    this.table.hidden = items.length === 0;
    say(
      this.note,
      items.length === 0
        ? "No conversation has deliveries right now."
        : "Deliveries per second over roughly the last ten seconds. Each number is a lower bound.",
    );
    this.note.dataset.level = "";
  }

  fail(error) {
    if (error.status === 401) return this.onSignedOut();
    say(this.note, `That did not work: ${error.message}.`);
    this.note.dataset.level = "bad";
  }
}
