import assert from "node:assert/strict";
import test from "node:test";

import { MOST_WAITING, Outbox } from "../../../../chat/play/static/outbox.js";
import { CONVERSATION, FakeStorage, OTHER } from "./support.mjs";

const entry = (key, createdAt = 1, conversation = CONVERSATION) => ({ key, conversation, text: `text of ${key}`, createdAt });
const keys = (outbox) => outbox.entries().map(({ key }) => key);

test("what one page left, the next one finds, in the order it was written", () => {
  const storage = new FakeStorage();
  const outbox = new Outbox(storage, "alice");
  for (const key of ["z", "m", "a"]) outbox.add(entry(key));
  assert.deepEqual(keys(new Outbox(storage, "alice")), ["z", "m", "a"]);
});

test("users do not see each other's", () => {
  const storage = new FakeStorage();
  new Outbox(storage, "alice").add(entry("a"));
  storage.setItem("something else", "{");
  assert.deepEqual(keys(new Outbox(storage, "bob")), []);
});

test("two tabs that write at the same time lose nothing", () => {
  const shared = new Map();
  const [one, two] = [new Outbox(new FakeStorage(shared), "alice"), new Outbox(new FakeStorage(shared), "alice")];
  one.add(entry("a", 1));
  two.add(entry("b", 2));
  one.remove("a");
  assert.deepEqual(keys(new Outbox(new FakeStorage(shared), "alice")), ["b"]);
});

test("a tab hears of what another one did", () => {
  const shared = new Map();
  const [one, two] = [new Outbox(new FakeStorage(shared), "alice"), new Outbox(new FakeStorage(shared), "alice")];
  one.add(entry("a"));
  const [[name, value]] = shared;
  assert.ok(two.changedElsewhere(name, value));
  assert.deepEqual(keys(two), ["a"]);
  assert.ok(two.changedElsewhere(name, null));
  assert.deepEqual(keys(two), []);
  assert.equal(two.changedElsewhere("something else", "x"), false);
});

test("what was refused waits for its user and holds nothing up", () => {
  const storage = new FakeStorage();
  const outbox = new Outbox(storage, "alice");
  outbox.add(entry("a"));
  outbox.add(entry("b", 2));
  outbox.fail("a", "too long");
  assert.equal(outbox.next(CONVERSATION).key, "b");
  assert.equal(new Outbox(storage, "alice").entries()[0].failure, "too long");
  outbox.retry("a");
  assert.equal(outbox.next(CONVERSATION).key, "a");
  assert.equal(outbox.entries()[0].failure, undefined);
});

test("conversations with something to send are named once", () => {
  const outbox = new Outbox(new FakeStorage(), "alice");
  for (const key of ["a", "b"]) outbox.add(entry(key));
  outbox.add(entry("c", 1, OTHER));
  outbox.fail("c", "no");
  assert.deepEqual([...outbox.conversations()], [CONVERSATION]);
});

test("a full storage keeps the message for as long as the page lives", () => {
  const storage = new FakeStorage();
  storage.setItem = () => {
    throw new Error("QuotaExceededError");
  };
  const outbox = new Outbox(storage, "alice");
  assert.ok(outbox.add(entry("a")));
  assert.deepEqual(keys(outbox), ["a"]);
});

test("there is an end to what may wait", () => {
  const outbox = new Outbox(new FakeStorage(), "alice");
  for (let i = 0; i < MOST_WAITING; i++) assert.ok(outbox.add(entry(`k${i}`)));
  assert.equal(outbox.add(entry("one more")), false);
});

test("rubbish in the storage is passed over", () => {
  const storage = new FakeStorage();
  storage.setItem("hubbub.outbox.alice.x", "{");
  storage.setItem("hubbub.outbox.alice.y", "null");
  storage.setItem("hubbub.outbox.alice.z", '{"text": 1}');
  assert.deepEqual(keys(new Outbox(storage, "alice")), []);
});
