// The small modules: time, text, typing, tokens, read positions.

import assert from "node:assert/strict";
import test from "node:test";

import { expiresAt, Problem, Rest, Tokens } from "../../../../chat/play/static/api.js";
import { Reader } from "../../../../chat/play/static/reader.js";
import { Store } from "../../../../chat/play/static/store.js";
import { enumerate, hue, HUES, initials, pieces, readable } from "../../../../chat/play/static/text.js";
import { timeFormats } from "../../../../chat/play/static/time.js";
import { stillTyping, TypingOut } from "../../../../chat/play/static/typing.js";
import { CONVERSATION, conversation, OTHER, settled, stateWith } from "./support.mjs";

const times = timeFormats({ locale: "en-GB", timeZone: "Europe/Berlin" });
const NOON = Date.UTC(2026, 2, 14, 11); // 12:00 in Berlin
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

test("days are those of the reader", () => {
  assert.equal(times.dayKey(Date.UTC(2026, 2, 13, 23, 30)), "2026-03-14");
  assert.equal(times.dayLabel(Date.UTC(2026, 2, 13, 23, 30), NOON), "Today");
  assert.equal(times.dayLabel(Date.UTC(2026, 2, 13, 22, 30), NOON), "Yesterday");
});

test("days further away have their names", () => {
  assert.equal(times.dayLabel(NOON - 3 * DAY, NOON), "Wednesday");
  assert.equal(times.dayLabel(NOON - 30 * DAY, NOON), "12 February");
  assert.equal(times.dayLabel(NOON - 365 * DAY, NOON), "14 March 2025");
});

test("a day that daylight saving made shorter is a day", () => {
  assert.equal(times.dayLabel(Date.UTC(2026, 2, 28, 12), Date.UTC(2026, 2, 29, 21)), "Yesterday");
});

test("lists have a short form", () => {
  assert.deepEqual([0, DAY, 3 * DAY, 30 * DAY, 365 * DAY].map((ago) => times.listLabel(NOON - ago, NOON)),
    ["12:00", "Yesterday", "Wed", "12 Feb", "14/03/25"]);
});

test("how long ago somebody was seen", () => {
  assert.deepEqual([-5_000, 30_000, 90_000, 3 * HOUR, 20 * HOUR, 40 * DAY].map((ago) => times.ago(NOON - ago, NOON)),
    ["just now", "just now", "1 minute ago", "3 hours ago", "yesterday", "2 February"]);
});

test("links are found, without the punctuation after them", () => {
  assert.deepEqual(pieces("see https://a.example/x?y=1, (http://b.example)!"), [
    { text: "see " }, { text: "https://a.example/x?y=1", href: "https://a.example/x?y=1" },
    { text: ", (" }, { text: "http://b.example", href: "http://b.example" }, { text: ")!" },
  ]);
  assert.deepEqual(pieces("javascript:alert(1) http://"), [{ text: "javascript:alert(1) http://" }]);
  const brackets = "https://en.wikipedia.org/wiki/Hubbub_(disambiguation)";
  assert.deepEqual(pieces(brackets), [{ text: brackets, href: brackets }]);
  assert.deepEqual(pieces(""), []);
});

test("initials and colours stay with who they are of", () => {
  assert.deepEqual(["Alice", "bob smith", "Anna de la Cruz", "李雷", "", "x.y"].map(initials), ["A", "BS", "AC", "李", "?", "XY"]);
  assert.equal(hue("alice"), hue("alice"));
  assert.ok(["alice", "bob", "carol", "dave"].every((id) => hue(id) >= 0 && hue(id) < HUES));
});

test("names are put in a row", () => {
  assert.deepEqual([[], ["A"], ["A", "B"], ["A", "B", "C"], ["A", "B", "C", "D"]].map((names) => enumerate(names)),
    ["", "A", "A and B", "A, B and C", "A, B and 2 others"]);
});

test("error messages are made readable", () => {
  assert.equal(readable("permission_denied"), "Permission denied");
  assert.equal(readable("bad_request: $.members: is required"), "Members is required");
  assert.equal(readable("limit_exceeded: too much"), "Too much");
  assert.equal(readable(""), "Something went wrong");
});

test("typing is said at most every three seconds, and its end at once", () => {
  const said = [];
  let now = 0;
  const typing = new TypingOut({ now: () => now, say: (method, id) => said.push([method, id, now]) });
  for (now = 0; now <= 7_000; now += 500) typing.input(CONVERSATION, "x");
  typing.input(CONVERSATION, " ");
  typing.stop();
  assert.deepEqual(said.map(([method, , at]) => [method, at]),
    [["typing.start", 0], ["typing.start", 3_000], ["typing.start", 6_000], ["typing.stop", 7_500]]);
});

test("going to another conversation ends typing in the first", () => {
  const said = [];
  const typing = new TypingOut({ now: () => 0, say: (...what) => said.push(what) });
  typing.input(CONVERSATION, "x");
  typing.input(OTHER, "x");
  typing.stop({ silently: true });
  typing.stop();
  assert.deepEqual(said, [["typing.start", CONVERSATION], ["typing.stop", CONVERSATION], ["typing.start", OTHER]]);
});

test("whoever fell silent is not typing", () => {
  const typing = { bob: 10, carol: 20 };
  assert.equal(stillTyping(typing, 5), typing);
  assert.deepEqual(stillTyping(typing, 10), { carol: 20 });
});

const jwt = (exp) => `x.${btoa(JSON.stringify({ sub: "alice", exp })).replaceAll("=", "")}.y`;
const answer = (status, body) => ({ ok: status < 400, status, json: async () => body });

test("a token is fetched once for all who ask, and again before it expires", async () => {
  let [now, fetched] = [0, 0];
  const tokens = new Tokens({ user: "alice", now: () => now, fetch: async () => {
    fetched += 1;
    return answer(200, { token: jwt(now / 1000 + 60) });
  } });
  await Promise.all([tokens.get(), tokens.get()]);
  now = 40_000;
  await tokens.get();
  assert.equal(fetched, 1);
  now = 50_000;
  await tokens.get();
  assert.equal(fetched, 2);
});

test("a token that is none expires at once", () => {
  assert.equal(expiresAt("x"), 0);
  assert.equal(expiresAt(jwt(7)), 7_000);
});

test("a request that is refused for its token is made again with a fresh one", async () => {
  const seen = [];
  let n = 0;
  const fetch = async (path, { headers = {} }) => {
    if (path === "/play/token") return answer(200, { token: jwt(1e6 + n++) });
    seen.push(headers.Authorization);
    return seen.length === 1 ? answer(401, { code: "unauthorized", detail: "expired" }) : answer(200, { items: [] });
  };
  const tokens = new Tokens({ user: "alice", now: () => 0, fetch });
  assert.deepEqual(await new Rest({ fetch, tokens }).messages(CONVERSATION, { before: 7 }, 50), { items: [] });
  assert.equal(new Set(seen).size, 2);
});

test("what a server says is wrong reaches whoever asked, and so does its silence", async () => {
  const tokens = (fetch) => new Tokens({ user: "alice", now: () => 0, fetch });
  await assert.rejects(tokens(async () => answer(404, { code: "not_found", detail: "demo users are bob" })).get(),
    (error) => error instanceof Problem && error.status === 404 && error.message === "demo users are bob");
  await assert.rejects(tokens(async () => {
    throw new TypeError("Failed to fetch");
  }).get(), (error) => error.status === 0);
});

function readers(call) {
  const world = { told: [], timers: [] };
  world.store = new Store(stateWith(conversation()), { listener: () => undefined, schedule: () => undefined });
  world.reader = new Reader({
    store: world.store,
    later: (_, action) => world.timers.push(action),
    call: async (_, { offset }) => {
      world.told.push(offset);
      return call?.(offset);
    },
  });
  world.unread = () => world.store.state.conversations[CONVERSATION].unread;
  return world;
}

test("what was seen is read at once here, and told once a moment later", async () => {
  const world = readers();
  world.reader.seen(CONVERSATION, { offset: 9, n: 9 });
  world.reader.seen(CONVERSATION, { offset: 10, n: 10 });
  world.reader.seen(CONVERSATION, { offset: 7, n: 7 });
  assert.equal(world.unread(), 0);
  world.timers.forEach((action) => action());
  await settled();
  world.reader.flush();
  assert.deepEqual(world.told, [10]);
});

test("what could not be told is told with the next connection", async () => {
  let fails = true;
  const world = readers(() => {
    if (fails) throw { code: 3, message: "client disconnected" };
  });
  world.reader.seen(CONVERSATION, { offset: 10, n: 10 });
  world.timers.shift()();
  await settled();
  fails = false;
  world.reader.flush();
  await settled();
  world.reader.flush();
  assert.deepEqual(world.told, [10, 10]);
});
