// Live connections: search, order, where they are, and the door.
import { get, post } from "./api.js";
import { confirmed } from "./dialogs.js";
import { h, say } from "./dom.js";
import { age, bytes, count, processName } from "./format.js";
import { isThere } from "./live.js";
import { Poller } from "./poller.js";

const LIMIT = 100;

const ORDERS = [
  ["newest", "Newest first"],
  ["oldest", "Oldest first"],
  ["queued", "Most queued bytes"],
  ["subscriptions", "Most subscriptions"],
];

const COLUMNS = [
  ["User", "", (c) => c.user],
  ["Client", "mono", (c) => c.client],
  ["SDK", "", (c) => [c.sdk, c.sdk_version].filter(Boolean).join(" ") || "–"],
  ["Codec", "", (c) => c.codec],
  ["Age", "number", (c, now) => age((now - c.connected_at) / 1000)],
  ["Queued", "number", (c) => bytes(c.queued_bytes)],
  ["Subscriptions", "number", (c) => count(c.subscriptions)],
  ["Address", "mono", (c) => c.address],
  ["Where", "", (c, _, where) => where(c)],
];

export class Connections {
  constructor({ feed, parameters, onChange, onSignedOut }) {
    this.feed = feed;
    this.onSignedOut = onSignedOut;
    this.rows = new Map();
    this.search = h("input", {
      type: "search",
      id: "search",
      placeholder: "User, client, address or SDK",
      "aria-label": "Search connections",
      autocomplete: "off",
      spellcheck: false,
      maxLength: 128,
      value: parameters.get("search") ?? "",
      oninput: () => this.changed(onChange),
    });
    this.process = h("select", { "aria-label": "Process", onchange: () => this.changed(onChange) });
    this.order = h(
      "select",
      { "aria-label": "Order", onchange: () => this.changed(onChange) },
      ORDERS.map(([value, label]) => h("option", { value, selected: value === parameters.get("order") }, label)),
    );
    this.chosen = parameters.get("process") ?? "";
    this.note = h("p", { class: "note", role: "status" }, "Asking…");
    this.body = h("tbody");
    this.element = h(
      "div",
      { class: "list" },
      h("div", { class: "controls" }, this.search, this.process, this.order),
      this.note,
      h(
        "div",
        { class: "card scroll", tabindex: "0", role: "region", "aria-label": "Connections" },
        h(
          "table",
          { class: "stacking" },
          h("thead", {}, h("tr", {}, COLUMNS.map(([label, kind]) => h("th", { scope: "col", class: kind }, label)), h("th", { scope: "col" }, h("span", { class: "unseen" }, "Action")))),
          this.body,
        ),
      ),
    );
    this.poller = new Poller({
      everyMs: 3000,
      ask: (signal) =>
        get("/admin/api/connections", { search: this.search.value, process: this.chosen, order: this.order.value, limit: LIMIT }, signal),
      onAnswer: (page) => this.show(page),
      onError: (error) => this.fail(error),
    });
    this.offer = this.offer.bind(this);
    feed.addEventListener("overview", this.offer);
    this.offer();
  }

  mounted() {
    this.poller.run();
  }

  destroy() {
    this.poller.end();
    this.feed.removeEventListener("overview", this.offer);
  }

  focusSearch() {
    this.search.focus();
    this.search.select();
  }

  changed(onChange) {
    this.chosen = this.process.value;
    const order = this.order.value;
    onChange({ search: this.search.value, process: this.chosen, order: order === "newest" ? "" : order });
    clearTimeout(this.typing);
    this.typing = setTimeout(() => this.poller.run(), 150);
  }

  offer() {
    const hubs = (this.feed.overview?.processes ?? []).filter((each) => each.role === "hub" && isThere(each));
    const options = [["", "All processes"], ...hubs.map((each) => [each.process, processName(each)])];
    if (!options.some(([value]) => value === this.chosen)) options.push([this.chosen, this.chosen]);
    const key = JSON.stringify(options);
    if (key === this.offered) return;
    this.offered = key;
    this.process.replaceChildren(...options.map(([value, label]) => h("option", { value }, label)));
    this.process.value = this.chosen;
  }

  show({ items, matching, silent }) {
    const now = Date.now();
    const where = (connection) => {
      const view = this.feed.overview?.processes.find((each) => each.process === connection.process);
      return view ? processName(view) : connection.node;
    };
    const present = items.map((connection) => {
      const row = this.rows.get(connection.client) ?? this.add(connection);
      COLUMNS.forEach(([, , text], index) => say(row.cells[index], text(connection, now, where)));
      return row.element;
    });
    const kept = new Set(items.map(({ client }) => client));
    for (const client of this.rows.keys()) if (!kept.has(client)) this.rows.delete(client);
    if (present.length !== this.body.children.length || present.some((element, index) => this.body.children[index] !== element)) {
      const focused = document.activeElement;
      this.body.replaceChildren(...present);
      if (this.body.contains(focused)) focused.focus();
    }
    const some = matching > items.length ? `${count(items.length)} of ${count(matching)} connections` : `${count(matching)} ${matching === 1 ? "connection" : "connections"}`;
    const missing = silent.length > 0 ? ` No answer from ${silent.join(", ")}: what they have is missing.` : "";
    say(this.note, `${some}.${missing}`);
    this.note.dataset.level = silent.length > 0 ? "warn" : "";
  }

  add(connection) {
    const cells = COLUMNS.map(([label, kind]) => h("td", { class: kind, "data-label": label }));
    const action = h("td", { class: "action" }, h("button", { type: "button", onclick: () => this.kick(connection) }, "Disconnect"));
    const row = { element: h("tr", {}, cells, action), cells };
    this.rows.set(connection.client, row);
    return row;
  }

  async kick({ client, user }) {
    const answer = await confirmed({
      title: `Disconnect ${user || "this client"}?`,
      text: `Connection ${client} is closed now. Nothing is lost: what it misses it gets when it is back.`,
      choices: [
        ["again", "It may reconnect at once (code 3011)"],
        ["out", "Its SDK must not reconnect by itself (code 3503)"],
      ],
      yes: "Disconnect",
      danger: true,
    });
    if (!answer) return;
    try {
      await post(`/admin/api/connections/${encodeURIComponent(client)}/disconnect`, { reconnect: answer === "again" });
    } catch (error) {
      if (error.status !== 404) return this.fail(error);
    }
    this.poller.run();
  }

  fail(error) {
    if (error.status === 401) return this.onSignedOut();
    say(this.note, `That did not work: ${error.message}.`);
    this.note.dataset.level = "bad";
  }
}
