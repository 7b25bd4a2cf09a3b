import assert from "node:assert/strict";
import test from "node:test";

import { Outbox } from "../../../../chat/play/static/outbox.js";
import { Sender } from "../../../../chat/play/static/sender.js";
import { CONVERSATION, FakeStorage, OTHER, settled } from "./support.mjs";

/** A sender against a server that is `answer(params)`; timers are run by hand. */
function setUp(answer) {
  const outbox = new Outbox(new FakeStorage(), "alice");
  const world = { online: true, calls: [], sent: [], timers: [], outbox };
  world.sender = new Sender({
    outbox,
    online: () => world.online,
    later: (ms, action) => world.timers.push({ ms, action }),
    onSent: (message) => world.sent.push(message),
    onChange: () => undefined,
    call: async (method, params) => {
      world.calls.push(params.idempotency_key);
      assert.equal(method, "message.send");
      return { message: await answer(params), duplicate: false };
    },
  });
  world.write = (...keys) => keys.forEach((key, i) => outbox.add({ key, conversation: CONVERSATION, text: key, createdAt: i }));
  return world;
}

const stored = ({ idempotency_key: key }) => ({ idempotency_key: key });

test("messages go one by one, in the order they were written", async () => {
  const waiting = [];
  const world = setUp((params) => new Promise((resolve) => waiting.push(() => resolve(stored(params)))));
  world.write("a", "b");
  world.sender.flush();
  world.sender.flush();
  await settled();
  assert.deepEqual(world.calls, ["a"]);
  waiting.shift()();
  await settled();
  assert.deepEqual(world.calls, ["a", "b"]);
  waiting.shift()();
  await settled();
  assert.deepEqual(world.outbox.entries(), []);
  assert.deepEqual(world.sent.map((message) => message.idempotency_key), ["a", "b"]);
});

test("conversations do not wait for each other", async () => {
  const world = setUp((params) => (params.conversation === OTHER ? stored(params) : new Promise(() => undefined)));
  world.write("a");
  world.outbox.add({ key: "c", conversation: OTHER, text: "c", createdAt: 9 });
  world.sender.flush();
  await settled();
  assert.deepEqual(world.sent.map((message) => message.idempotency_key), ["c"]);
});

test("when the answer was lost the same key is sent again, and nothing overtakes it", async () => {
  let failures = 2;
  const world = setUp((params) => {
    if (failures-- > 0) throw { code: 11, message: "connection closed" };
    return stored(params);
  });
  world.write("a", "b");
  world.sender.flush();
  await settled();
  world.timers.shift().action();
  await settled();
  world.timers.shift().action();
  await settled();
  assert.deepEqual(world.calls, ["a", "a", "a", "b"]);
});

test("retries slow down, and start anew after a success", async () => {
  let fail = true;
  const world = setUp((params) => {
    if (fail) throw { code: 1000, message: "unavailable", temporary: true };
    return stored(params);
  });
  world.write("a");
  world.sender.flush();
  const delays = [];
  for (let i = 0; i < 8; i++) {
    await settled();
    const { ms, action } = world.timers.shift();
    delays.push(ms);
    if (i === 7) fail = false;
    action();
  }
  await settled();
  assert.deepEqual(delays, [500, 1000, 2000, 4000, 8000, 15000, 15000, 15000]);
  fail = true;
  world.write("b");
  world.sender.flush();
  await settled();
  assert.equal(world.timers.shift().ms, 500);
});

test("offline nothing is sent, and nothing is lost", async () => {
  const world = setUp(stored);
  world.online = false;
  world.write("a");
  world.sender.flush();
  await settled();
  assert.deepEqual(world.calls, []);
  world.online = true;
  world.sender.flush();
  await settled();
  assert.deepEqual(world.calls, ["a"]);
});

test("what the server refuses for good is marked, and the rest goes on", async () => {
  const world = setUp((params) => {
    if (params.idempotency_key === "a") throw { code: 103, message: "permission_denied" };
    return stored(params);
  });
  world.write("a", "b");
  world.sender.flush();
  await settled();
  assert.deepEqual(world.calls, ["a", "b"]);
  assert.equal(world.outbox.entries()[0].failure, "permission_denied");
  assert.deepEqual(world.timers, []);
});
