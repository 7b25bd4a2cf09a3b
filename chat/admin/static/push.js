// Push: lanes and how late they are, what was given up, a test for a device, and why a phone rang or did not.
import { get, post } from "./api.js";
import { confirmed } from "./dialogs.js";
import { h, say } from "./dom.js";
import { age, count, processName } from "./format.js";
import { Poller } from "./poller.js";

const LEVELS = { closed: "good", probing: "warn", open: "bad" };
const HOUR_MS = 3_600_000;
const STATES = { closed: "sends", probing: "tries one", open: "left alone" };

function table(columns, body) {
  const heads = columns.map(([label, kind = ""]) => h("th", { scope: "col", class: kind }, label));
  return h("table", { class: "stacking" }, h("thead", {}, h("tr", {}, heads)), body);
}

function card(title, ...content) {
  return h("section", { class: "card" }, h("header", {}, h("h2", {}, title)), ...content);
}

function scrolling(label, content) {
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, content);
}

function cell(label, content, kind = "") {
  return h("td", { class: kind, "data-label": label }, content);
}

function listed(lanes) {
  return lanes.map((lane) => `${lane.provider} · ${lane.app}${lane.environment === "sandbox" ? " (sandbox)" : ""}`).join(", ");
}

function suspectSince(lane) {
  const times = lane.workers.map((one) => one.suspect_since).filter((at) => at !== null);
  return times.length === 0 ? null : Math.min(...times);
}

function button(label, onclick) {
  return h("button", { type: "button", onclick }, label);
}

export class Push {
  constructor({ feed, onSignedOut }) {
    this.feed = feed;
    this.onSignedOut = onSignedOut;
    this.note = h("p", { class: "note", role: "status" }, "Asking…");
    this.lanes = h("tbody");
    this.laneNote = h("p", { class: "note", role: "status" });
    this.dead = h("tbody");
    this.deadNote = h("p", { class: "note" });
    this.devices = h("tbody");
    this.deviceNote = h("p", { class: "note", role: "status" });
    this.steps = h("tbody");
    this.traceNote = h("p", { class: "note", role: "status" });
    this.user = this.field("User", "User", 64);
    this.conversation = this.field("Conversation", "Conversation", 64);
    this.offset = this.field("Offset", "Offset of the message", 15);
    this.element = h("div", { class: "list" }, this.note, this.lanesCard(), this.deadCard(), this.testCard(), this.traceCard());
    this.poller = new Poller({
      everyMs: 2000,
      ask: (signal) => get("/admin/api/push", {}, signal),
      onAnswer: (answer) => this.show(answer),
      onError: (error) => this.fail(this.note, error),
    });
  }

  field(placeholder, label, maxLength) {
    return h("input", { type: "search", placeholder, "aria-label": label, autocomplete: "off", spellcheck: false, maxLength });
  }

  lanesCard() {
    const columns = [["Lane"], ["Environment"], ["Oldest job", "number"], ["Due", "number"], ["Under way", "number"], ["State"], [""]];
    return card("Lanes", this.laneNote, scrolling("Lanes", table(columns, this.lanes)));
  }

  deadCard() {
    const columns = [["Reason"], ["Lane"], ["User"], ["Conversation"], ["Messages"], ["Attempts", "number"], ["Age", "number"], [""]];
    return card("Dead letters", this.deadNote, scrolling("Dead letters", table(columns, this.dead)));
  }

  testCard() {
    const form = h(
      "form",
      { class: "controls", onsubmit: (event) => (event.preventDefault(), this.findDevices()) },
      this.user,
      h("button", { type: "submit" }, "Show devices"),
    );
    const columns = [["Device"], ["Provider"], ["App"], ["Platform"], ["Registered", "number"], [""]];
    return card("Test a device", form, this.deviceNote, scrolling("Devices", table(columns, this.devices)));
  }

  traceCard() {
    const form = h(
      "form",
      { class: "controls", onsubmit: (event) => (event.preventDefault(), this.trace()) },
      this.conversation,
      this.offset,
      h("button", { type: "submit" }, "Show trace"),
    );
    const columns = [["Time"], ["User"], ["Device"], ["Step"], ["Outcome"], ["Reason"], ["Until"]];
    return card("Why did it ring?", form, this.traceNote, scrolling("Trace", table(columns, this.steps)));
  }

  mounted() {
    this.poller.run();
  }

  destroy() {
    this.poller.end();
    clearTimeout(this.again);
  }

  focusSearch() {
    this.user.focus();
    this.user.select();
  }

  show({ at, lanes, dead, more }) {
    this.showLanes(lanes, at);
    this.showDead(dead, at, more);
    const late = lanes.filter((lane) => lane.due_at !== null && at - lane.due_at > 60_000);
    const shut = lanes.filter((lane) => lane.workers.some((one) => one.state !== "closed" || one.suspect_since !== null));
    this.note.dataset.level = late.length + shut.length > 0 ? "warn" : "";
    const parts = [
      lanes.length === 0 && "Nothing waits to be pushed, and no worker has pushed anything yet.",
      lanes.length > 0 && late.length + shut.length === 0 && "Every lane keeps up.",
      late.length > 0 && `More than a minute late: ${listed(late)}.`,
      shut.length > 0 && `Left alone by a worker: ${listed(shut)}.`,
    ];
    say(this.note, parts.filter(Boolean).join(" "));
  }

  showLanes(lanes, now) {
    const names = new Map(this.feed.overview?.processes.map((each) => [each.process, processName(each)]));
    const key = lanes.map((lane) => lane.lane).join("\n");
    if (key !== this.laneKey) {
      this.laneKey = key;
      this.rows = lanes.map((lane) => this.laneRow(lane));
      this.lanes.replaceChildren(...this.rows.map((row) => row.element));
    }
    // Filled in place: a button that somebody is about to press stays where it is.
    lanes.forEach((lane, index) => this.rows[index].fill(lane, now, names));
  }

  laneRow({ lane, provider, app, environment }) {
    const due = cell("Oldest job", "", "number");
    const waiting = cell("Due", "", "number");
    const running = cell("Under way", "", "number");
    const state = cell("State", "", "wide");
    let shown = null;
    const reset = button("Use again", () => this.reset(shown));
    const undo = button("Bring back devices", () => this.undo(shown));
    const name = cell("Lane", `${provider} · ${app}`);
    const action = h("td", { class: "action" }, reset, undo);
    const element = h("tr", { "data-lane": lane }, name, cell("Environment", environment, "wide"), due, waiting, running, state, action);
    const fill = (lane, now, names) => {
      shown = lane;
      say(due, lane.due_at === null || lane.due_at > now ? "–" : age((now - lane.due_at) / 1000));
      say(waiting, count(lane.due));
      say(running, count(lane.workers.reduce((sum, one) => sum + one.running, 0)));
      state.replaceChildren(...(lane.workers.length === 0 ? ["no worker has tried it"] : lane.workers.map((one) => this.state(one, now, names))));
      reset.hidden = !lane.workers.some((one) => one.state !== "closed" || one.suspect_since !== null || one.origins > 0);
    };
    return { element, fill };
  }

  // All workers are told; what waited for the lane is due at once.
  async reset(lane) {
    const text = `${lane.provider} has said of too many devices that they are gone. If that was wrong and still is, more of them are believed to be gone now, until it is too many again.`;
    const suspect = suspectSince(lane) !== null;
    if (suspect && !(await confirmed({ title: "Believe it again?", text, yes: "Use again", danger: true }))) return;
    await this.changeLane("/admin/api/push/reset", { lane: lane.lane }, ({ jobs }) => `Workers use ${listed([lane])} again; jobs that are due now: ${count(jobs)}.`);
  }

  async undo(lane) {
    const now = Date.now();
    const suspect = suspectSince(lane);
    const choices = [
      ...(suspect === null ? [] : [[`${suspect}`, `since ${new Date(suspect).toLocaleString()}, when too many began to be gone`]]),
      ...[[1, "the last hour"], [24, "the last day"], [168, "the last seven days"]].map(([hours, label]) => [`${now - hours * HOUR_MS}`, label]),
    ];
    const text = `Those that ${lane.provider} has said are gone are sent to again, and told what they missed, unless they have registered meanwhile. Which since?`;
    const since = await confirmed({ title: "Bring back devices?", text, yes: "Bring back", choices });
    if (since === null) return;
    await this.changeLane("/admin/api/push/undo", { lane: lane.lane, since: Number(since) }, ({ devices }) => `${count(devices)} ${devices === 1 ? "device" : "devices"} of ${listed([lane])} brought back.`);
  }

  async changeLane(path, body, said) {
    try {
      say(this.laneNote, said(await post(path, body)));
      this.laneNote.dataset.level = "";
      this.poller.run();
    } catch (error) {
      this.fail(this.laneNote, error);
    }
  }

  state(one, now, names) {
    const state = h("span", { class: "state" }, h("i", {}), h("b", {}, STATES[one.state] ?? one.state));
    state.dataset.level = one.suspect_since !== null ? "bad" : (LEVELS[one.state] ?? "warn");
    const until = one.until !== null && one.until > now ? `for ${age((one.until - now) / 1000)}` : "";
    const suspect = one.suspect_since !== null ? `too many devices gone since ${new Date(one.suspect_since).toLocaleTimeString()}` : "";
    const origins = one.origins > 0 ? `${count(one.origins)} services left alone` : "";
    // Which the time says as well.
    const reason = one.suspect_since !== null && one.reason === "too_many_devices_gone" ? "" : one.reason;
    const more = [reason, until, suspect, origins, names.get(one.process) ?? one.process].filter(Boolean).join(" · ");
    return h("div", {}, state, h("small", {}, ` ${more}`));
  }

  showDead(dead, now, more) {
    say(this.deadNote, dead.length === 0 ? "Nothing was given up in the last fourteen days." : more ? `The first ${count(dead.length)}; there are more.` : "");
    this.deadNote.hidden = this.deadNote.textContent === "";
    const key = dead.map((letter) => letter.id + letter.at).join();
    if (key === this.deadKey) return;
    this.deadKey = key;
    this.dead.replaceChildren(
      ...dead.map((letter) =>
        h(
          "tr",
          {},
          cell("Reason", letter.reason),
          cell("Lane", letter.lane.split("|").join(" · "), "wide"),
          cell("User", letter.user),
          cell("Conversation", letter.conversation, "mono"),
          cell("Messages", letter.since === letter.upto ? `${letter.upto}` : `${letter.since}–${letter.upto}`),
          cell("Attempts", count(letter.attempts), "number"),
          cell("Age", age((now - letter.at) / 1000), "number"),
          h(
            "td",
            { class: "action" },
            button("Send again", () => this.change("/admin/api/push/replay", { id: letter.id })),
            button("Discard", () => this.discard(letter)),
          ),
        ),
      ),
    );
  }

  async discard(letter) {
    const text = `${letter.user} is not told of what was unread in ${letter.conversation}. The messages themselves stay.`;
    if (await confirmed({ title: "Discard this?", text, yes: "Discard", danger: true })) {
      await this.change("/admin/api/push/discard", { id: letter.id });
    }
  }

  async change(path, body) {
    try {
      await post(path, body);
    } catch (error) {
      if (error.status !== 404) return this.fail(this.note, error);
    }
    this.poller.run();
  }

  async findDevices() {
    const user = this.user.value.trim();
    if (!user) return;
    const now = Date.now();
    try {
      const { items } = await get("/admin/api/push/devices", { user });
      say(this.deviceNote, items.length === 0 ? `${user} has no device that is rung.` : "");
      this.deviceNote.dataset.level = "";
      this.devices.replaceChildren(
        ...items.map((device) =>
          h(
            "tr",
            {},
            cell("Device", device.name),
            cell("Provider", device.provider),
            cell("App", device.app),
            cell("Platform", device.platform || "–"),
            cell("Registered", age((now - device.confirmed_at) / 1000), "number"),
            h("td", { class: "action" }, button("Send a test", () => this.test(device))),
          ),
        ),
      );
    } catch (error) {
      this.fail(this.deviceNote, error);
    }
  }

  async test({ id, name }) {
    try {
      const { conversation, offset } = await post("/admin/api/push/test", { device: id });
      say(this.deviceNote, `A test is on its way to ${name}; what becomes of it is below.`);
      this.deviceNote.dataset.level = "";
      this.conversation.value = conversation;
      this.offset.value = offset;
      await this.trace(10);
    } catch (error) {
      this.fail(this.deviceNote, error);
    }
  }

  // Asked again a few times where something is under way.
  async trace(times = 1) {
    clearTimeout(this.again);
    const asked = { conversation: this.conversation.value.trim(), offset: this.offset.value.trim() };
    if (!asked.conversation || !asked.offset) return;
    try {
      const { items } = await get("/admin/api/push/trace", asked);
      say(this.traceNote, items.length > 0 ? "" : times > 1 ? "Nothing yet." : "Nothing is known of it; traces are kept for 72 hours.");
      this.traceNote.dataset.level = "";
      this.steps.replaceChildren(
        ...items.map((step) =>
          h(
            "tr",
            {},
            cell("Time", new Date(step.at).toLocaleString()),
            cell("User", step.user || "everybody"),
            cell("Device", step.device || "–", "mono"),
            cell("Step", step.step),
            cell("Outcome", step.outcome),
            cell("Reason", step.reason || "–"),
            cell("Until", step.until === null ? "–" : new Date(step.until).toLocaleTimeString()),
          ),
        ),
      );
      if (times > 1 && this.element.isConnected) this.again = setTimeout(() => this.trace(times - 1), 1000);
    } catch (error) {
      this.fail(this.traceNote, error);
    }
  }

  fail(note, error) {
    if (error.status === 401) return this.onSignedOut();
    const off = error.status === 404 && note === this.note;
    say(note, off ? "Nothing of push is shown by this server." : `That did not work: ${error.message}.`);
    note.hidden = false;
    note.dataset.level = "bad";
  }
}
