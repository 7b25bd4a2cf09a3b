import assert from "node:assert/strict";
import { test } from "node:test";

import { PhonesLink } from "../../../../chat/play/static/phones-link.js";
import { happened, newest, rang, summary, toAnnounce } from "../../../../chat/play/static/phones-text.js";

const line = (number, what, text = "") => ({ number, at: number, what, text });
const phone = (name, ...log) => ({ name, log });
const clock = (at) => `<${at}>`;

test("a line says what happened", () => {
  assert.equal(happened(line(1, "rang", "Bob: Tea?")), "Rang · Bob: Tea?");
  assert.equal(happened(line(1, "badge", "4")), "Badge is now 4");
  assert.equal(happened(line(1, "switched", "is offline")), "Is offline");
  assert.equal(happened(line(1, "nothing")), "A push arrived; nothing to be seen of it");
});

test("a banner says when it rang, and when it changed after that", () => {
  assert.equal(rang({ shown_at: 5, rang_at: 5 }, clock), "Rang <5>");
  assert.equal(rang({ shown_at: 9, rang_at: 5 }, clock), "Rang <5>, changed <9>");
  assert.equal(rang({ shown_at: 5, rang_at: null }, clock), "Silent, <5>");
});

test("how often a phone rang", () => {
  assert.equal(summary({ rings: 0 }), "Has not rung");
  assert.equal(summary({ rings: 1 }), "Rang once");
  assert.equal(summary({ rings: 3 }), "Rang 3 times");
});

test("banners that came and went are read out, once and in their order", () => {
  const phones = [phone("A", line(5, "rang", "late"), line(1, "rang", "old")), phone("B", line(3, "cleared", "x"), line(2, "away"))];
  assert.equal(newest(phones), 5);
  assert.deepEqual(toAnnounce(phones, 1), ["B: Cleared · x", "A: Rang · late"]);
  assert.deepEqual(toAnnounce(phones, 5), []);
});

/** Runs a link against these answers; gives what it asked for, what it saw and said. */
async function asking(answers, { visible = () => true } = {}) {
  const asked = [], seen = [], states = [], waits = [];
  const next = [];
  const link = new PhonesLink({
    fetch: async (url) => {
      asked.push(url);
      const [status, body] = answers.shift();
      if (status === 0) throw new TypeError("away");
      return { status, ok: status === 200, json: async () => body };
    },
    later: (ms, action) => { waits.push(ms); next.push(action); },
    visible,
  });
  const handlers = { seen: (phones) => seen.push(phones), state: (name) => states.push(name) };
  await link.run(handlers);
  while (answers.length && next.length) await next.shift()();
  return { asked, seen, states, waits };
}

test("what is known is not asked for again", async () => {
  const { asked, seen, states } = await asking([[200, { version: "a.1", phones: [1] }], [204], [200, { version: "a.2", phones: [2] }]]);
  assert.deepEqual(asked, ["/play/phones/seen?version=", "/play/phones/seen?version=a.1", "/play/phones/seen?version=a.1"]);
  assert.deepEqual(seen, [[1], [2]]);
  assert.deepEqual(states, ["online", "online", "online"]);
});

test("a server that is away is asked less often, and again", async () => {
  const { states, waits } = await asking([[0], [503, { detail: "x" }], [204]]);
  assert.deepEqual(states, ["offline", "offline", "online"]);
  assert.deepEqual(waits, [2000, 2000, 100]);
});

test("where there are no phones, that is the end", async () => {
  const { states, waits } = await asking([[404, { detail: "none" }]]);
  assert.deepEqual([states, waits], [["ended"], []]);
});

test("nothing is asked while nobody looks", async () => {
  const { asked, waits } = await asking([], { visible: () => false });
  assert.deepEqual([asked, waits], [[], [2000]]);
});
