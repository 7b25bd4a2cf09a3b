import assert from "node:assert/strict";
import test from "node:test";

import * as logs from "../../../../chat/play/static/log.js";
import { message, offsets, page, randoms, run } from "./support.mjs";

const loaded = (items, more) => logs.withNewest(logs.withLoading(logs.EMPTY, 1), 1, page(items, more));

test("a message that comes twice is there once", () => {
  let log = loaded(run(1, 3));
  log = logs.withLive(logs.withLive(logs.withLive(log, message(4)), message(4)), message(2));
  assert.deepEqual(offsets(log), [1, 2, 3, 4]);
  assert.equal(log.position, 4);
});

test("what comes in while the newest page is read is kept", () => {
  let log = logs.withLoading(logs.EMPTY, 1);
  log = logs.withLive(log, message(4));
  log = logs.withNewest(log, 1, page(run(1, 3)));
  assert.deepEqual(offsets(log), [1, 2, 3, 4]);
});

test("a page that was asked for before the session lost continuity is not used", () => {
  let log = logs.withLoading(logs.EMPTY, 1);
  log = logs.onSubscribed(log, { recovered: false, head: 9 });
  log = logs.withNewest(log, 1, page(run(1, 3)));
  assert.equal(log.loaded, false);
});

test("nothing is kept of a conversation that nobody opened", () => {
  assert.equal(logs.withLive(logs.EMPTY, message(1)), logs.EMPTY);
});

test("the answer to a send moves no position: others may be on their way below it", () => {
  const log = logs.withSent(loaded(run(1, 3)), message(6));
  assert.equal(log.position, 3);
  assert.equal(logs.onSubscribed(log, { recovered: false, head: 6 }).missingAfter, 3);
});

test("recovered sessions miss nothing", () => {
  const log = loaded(run(1, 3));
  assert.equal(logs.onSubscribed(log, { recovered: true, head: 90 }), log);
});

test("a session at the head misses nothing", () => {
  const log = loaded(run(1, 3));
  assert.equal(logs.onSubscribed(log, { recovered: false, head: 3 }), log);
});

test("a head below our position is another history", () => {
  assert.equal(logs.onSubscribed(loaded(run(1, 30)), { recovered: false, head: 12 }), logs.EMPTY);
});

test("what was missed is read from our position on, past entries that are no messages", () => {
  let log = logs.onSubscribed(loaded(run(1, 3)), { recovered: false, head: 20 });
  assert.equal(log.missingAfter, 3);
  log = logs.withLive(log, message(21));
  log = logs.withMissed(log, log.gaps, page(run(4, 10), { after: true }));
  assert.equal(log.missingAfter, 10);
  log = logs.withMissed(log, log.gaps, page([], { after: true, newest: 18 }));
  assert.equal(log.missingAfter, 18);
  log = logs.withMissed(log, log.gaps, page(run(19, 20)));
  assert.equal(log.missingAfter, null);
  assert.deepEqual(offsets(log), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 19, 20, 21]);
});

test("a gap that opens while another is filled is filled as well", () => {
  let log = logs.onSubscribed(loaded(run(1, 3)), { recovered: false, head: 5 });
  const { gaps } = log;
  log = logs.onSubscribed(log, { recovered: false, head: 9 });
  log = logs.withMissed(log, gaps, page(run(4, 5)));
  assert.equal(log.missingAfter, 5);
  log = logs.withMissed(log, log.gaps, page(run(6, 9)));
  assert.equal(log.missingAfter, null);
  assert.deepEqual(offsets(log), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test("a server that always says there is more and gives nothing does not keep us busy", () => {
  const log = logs.onSubscribed(loaded(run(1, 3)), { recovered: false, head: 9 });
  assert.equal(logs.withMissed(log, log.gaps, page([], { after: true, newest: 3 })).missingAfter, null);
});

test("paging back goes on from the oldest offset that was looked at", () => {
  let log = loaded(run(51, 60), { before: true });
  assert.equal(log.before, 51);
  log = logs.withOlder(log, page([], { before: true, oldest: 31, newest: 50 }));
  assert.equal(log.before, 31);
  assert.ok(logs.canPageBack(log));
  log = logs.withOlder(log, page(run(1, 30)));
  assert.equal(log.messages.length, 40);
  assert.equal(logs.canPageBack(log), false);
});

test("a trimmed log pages back to what was cut off", () => {
  const log = logs.trimmed(loaded(run(1, 30)), 10);
  assert.deepEqual(offsets(log), offsets({ messages: run(21, 30) }));
  assert.equal(log.before, 21);
  assert.ok(logs.canPageBack(log));
});

test("whatever comes in whatever order, every message ends up there once and in order", () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = randoms(seed);
    let head = 1 + random(20);
    let log = loaded(run(1, head));
    let live = true;
    for (let step = 0; step < 40; step++) {
      switch (random(6)) {
        case 0: // the connection drops; some are missed
          live = false;
          head += random(4);
          break;
        case 1: // and is back, not recovered
          log = logs.onSubscribed(log, { recovered: false, head });
          live = true;
          break;
        case 2: // a page of what is missing, as it is now
          if (log.missingAfter !== null) log = filled(log, head, 1 + random(3));
          break;
        case 3: // an old page again
          log = logs.withOlder(log, page(run(1, Math.min(5, head))));
          break;
        default: // a new message
          head += 1;
          if (live) log = logs.withLive(log, message(head));
      }
    }
    log = logs.onSubscribed(log, { recovered: false, head });
    while (log.missingAfter !== null) log = filled(log, head, 3);
    assert.deepEqual(offsets(log), offsets({ messages: run(1, head) }), `seed ${seed}`);
  }
});

function filled(log, head, size) {
  const items = run(log.missingAfter + 1, Math.min(head, log.missingAfter + size));
  return logs.withMissed(log, log.gaps, page(items, { after: log.missingAfter + size < head, newest: items.at(-1)?.offset ?? log.missingAfter }));
}
