import assert from "node:assert/strict";
import test from "node:test";

import { History } from "../../../../chat/play/static/history.js";
import * as logs from "../../../../chat/play/static/log.js";
import * as store from "../../../../chat/play/static/store.js";
import { CONVERSATION, conversation, message, offsets, page, run, settled, stateWith } from "./support.mjs";

/** A history against a server with so many messages, or one that `answers(where)` otherwise. */
function setUp({ head = 0, answers } = {}) {
  const world = { asked: [], timers: [], head };
  const rest = {
    messages: async (_, where, limit) => {
      world.asked.push(where);
      return answers ? answers(where, limit, world) : slice(world.head, where, limit);
    },
  };
  world.store = new store.Store(store.withOpen(stateWith(conversation()), CONVERSATION), { listener: () => undefined, schedule: () => undefined });
  world.history = new History({ store: world.store, rest, later: (_, action) => world.timers.push(action) });
  world.log = () => store.logOf(world.store.state, CONVERSATION);
  world.change = (change) => world.store.update((state) => store.withLog(state, CONVERSATION, change));
  world.paging = () => world.store.state.paging[CONVERSATION];
  return world;
}

function slice(head, { before, after }, limit) {
  const last = before ? before - 1 : after === undefined ? head : Math.min(head, after + limit);
  const first = after === undefined ? Math.max(1, last - limit + 1) : after + 1;
  return page(run(first, last), { before: first > 1, after: last < head });
}

test("the newest page is read once", async () => {
  const world = setUp({ head: 120 });
  await Promise.all([world.history.open(CONVERSATION), world.history.open(CONVERSATION)]);
  assert.deepEqual(world.asked, [{}]);
  assert.deepEqual(offsets(world.log()), offsets({ messages: run(71, 120) }));
});

test("older pages follow until the beginning", async () => {
  const world = setUp({ head: 120 });
  await world.history.open(CONVERSATION);
  for (let i = 0; i < 5; i++) await world.history.older(CONVERSATION);
  assert.deepEqual(world.asked, [{}, { before: 71 }, { before: 21 }]);
  assert.equal(world.log().messages.length, 120);
});

test("a failure is shown, and trying again works", async () => {
  let fails = true;
  const world = setUp({ answers: (where, limit) => {
    if (fails) throw new Error("The server cannot be reached");
    return slice(3, where, limit);
  } });
  await world.history.open(CONVERSATION);
  assert.deepEqual(world.paging(), { busy: false, failure: "The server cannot be reached" });
  fails = false;
  await world.history.open(CONVERSATION);
  assert.equal(world.paging().failure, "");
  assert.equal(world.log().messages.length, 3);
});

test("a page that became stale while it was read is read again", async () => {
  const world = setUp({ answers: (where, limit, { asked }) => {
    if (asked.length === 1) world.change(() => logs.EMPTY); // the session was lost and is back
    return slice(asked.length === 1 ? 3 : 5, where, limit);
  } });
  await world.history.open(CONVERSATION);
  assert.deepEqual(offsets(world.log()), [1, 2, 3, 4, 5]);
});

test("a gap is filled page by page, and the list knows the last message", async () => {
  const world = setUp({ head: 10 });
  await world.history.open(CONVERSATION);
  world.head = 450;
  world.store.update((state) => store.withSubscribed(state, CONVERSATION, { recovered: false, head: { offset: 450, n: 450 } }));
  await world.history.catchUp(CONVERSATION);
  assert.deepEqual(world.asked.slice(1), [{ after: 10 }, { after: 210 }, { after: 410 }]);
  assert.deepEqual(offsets(world.log()), offsets({ messages: run(1, 450) }));
  assert.equal(world.store.state.conversations[CONVERSATION].last_message.offset, 450);
});

test("whoever missed very much starts over with the newest page", async () => {
  const world = setUp({ head: 10 });
  await world.history.open(CONVERSATION);
  world.head = 5_000;
  world.change((log) => logs.onSubscribed(log, { recovered: false, head: 5_000 }));
  await world.history.catchUp(CONVERSATION);
  assert.deepEqual(offsets(world.log()), offsets({ messages: run(4_951, 5_000) }));
});

test("a gap that could not be filled is tried again", async () => {
  let fails = true;
  const world = setUp({ head: 10, answers: (where, limit) => {
    if (fails && where.after) throw new Error("no");
    return slice(12, where, limit);
  } });
  world.change((log) => logs.withNewest(logs.withLoading(log, 1), 1, page(run(1, 10))));
  world.change((log) => logs.onSubscribed(log, { recovered: false, head: 12 }));
  await world.history.catchUp(CONVERSATION);
  assert.equal(world.log().missingAfter, 10);
  fails = false;
  world.change((log) => logs.withLive(log, message(13)));
  world.timers.shift()();
  await settled();
  assert.deepEqual(offsets(world.log()).slice(-3), [11, 12, 13]);
});
