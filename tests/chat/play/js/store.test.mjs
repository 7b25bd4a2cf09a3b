import assert from "node:assert/strict";
import test from "node:test";

import * as logs from "../../../../chat/play/static/log.js";
import * as store from "../../../../chat/play/static/store.js";
import { CONVERSATION, conversation, message, offsets, OTHER, page, run, stateWith } from "./support.mjs";

const created = (offset, more) => ({ type: "message.created", conversation: CONVERSATION, offset, message: message(offset, more) });
const seen = (state) => state.conversations[CONVERSATION];

function opened(state, items = run(1, 10)) {
  const shown = store.withOpen(state, CONVERSATION);
  return store.withLog(shown, CONVERSATION, (log) => logs.withNewest(logs.withLoading(log, 1), 1, page(items)));
}

test("a message of somebody else counts as unread, shows in the list, and means that they are there", () => {
  const state = store.withEvent(stateWith(conversation()), created(11), 5);
  assert.equal(seen(state).unread, 3);
  assert.equal(seen(state).last_message.text, "message 11");
  assert.deepEqual(seen(state).head, { offset: 11, n: 11 });
  assert.equal(state.presence.bob.online, true);
});

test("a message of one's own counts everything as read", () => {
  const state = store.withEvent(stateWith(conversation()), created(11, { sender: "alice" }), 5);
  assert.equal(seen(state).unread, 0);
});

test("the same message twice changes nothing", () => {
  const once = store.withEvent(opened(stateWith(conversation())), created(11), 5);
  const twice = store.withEvent(once, created(11), 5);
  assert.equal(seen(twice).unread, seen(once).unread);
  assert.deepEqual(offsets(twice.logs[CONVERSATION]), offsets(once.logs[CONVERSATION]));
});

test("a list that is older than what was heard since takes nothing back", () => {
  const heard = store.withEvent(stateWith(conversation()), created(11), 5);
  const state = store.withList(heard, [conversation()], [CONVERSATION]);
  assert.equal(seen(state).head.offset, 11);
  assert.equal(seen(state).last_message.offset, 11);
  assert.equal(seen(state).unread, 3);
});

test("conversations that are not listed any more go, those that came meanwhile stay", () => {
  const known = stateWith(conversation(), conversation(OTHER));
  const more = store.withConversation(known, conversation("c".repeat(26)));
  const state = store.withList(more, [conversation()], [CONVERSATION, OTHER]);
  assert.deepEqual(Object.keys(state.conversations).sort(), [CONVERSATION, "c".repeat(26)]);
  assert.ok(state.list.loaded);
});

test("reading on another device takes the badge away here", () => {
  const state = store.withRead(stateWith(conversation()), CONVERSATION, { offset: 10, n: 10 });
  assert.equal(seen(state).unread, 0);
});

test("an entry that is no message moves the position but is not unread", () => {
  const state = store.withEvent(opened(stateWith(conversation())), { type: "member.joined", conversation: CONVERSATION, offset: 11, by: "bob" }, 5);
  assert.equal(state.logs[CONVERSATION].position, 11);
  assert.equal(seen(state).unread, 2);
  assert.equal(seen(state).head.offset, 11);
});

test("an event of a type that is not known moves the position", () => {
  const state = store.withEvent(opened(stateWith(conversation())), { type: "poll.closed", conversation: CONVERSATION, offset: 11 }, 5);
  assert.equal(state.logs[CONVERSATION].position, 11);
});

test("typing ends by its message, by saying so, and by itself", () => {
  const typing = { type: "typing", conversation: CONVERSATION, by: "bob", active: true, expires_in_ms: 9_000 };
  const begun = store.withEvent(stateWith(conversation()), typing, 1_000);
  assert.deepEqual(begun.typing[CONVERSATION], { bob: 7_000 });
  assert.deepEqual(store.withEvent(begun, created(11), 2_000).typing[CONVERSATION], {});
  assert.deepEqual(store.withEvent(begun, { ...typing, active: false }, 2_000).typing[CONVERSATION], {});
});

test("one's own typing, heard from another tab, is not shown", () => {
  const state = stateWith(conversation());
  assert.equal(store.withEvent(state, { type: "typing", conversation: CONVERSATION, by: "alice", active: true }, 1), state);
});

test("a peer's read position only goes forward", () => {
  const member = { user: "bob", role: "member", read: { offset: 5, n: 5 } };
  const read = (offset) => ({ type: "read", conversation: CONVERSATION, by: "bob", read: { offset, n: offset } });
  let state = store.withMembers(stateWith(conversation()), CONVERSATION, [member]);
  state = store.withEvent(state, read(9), 1);
  state = store.withEvent(state, read(7), 1);
  assert.equal(state.members[CONVERSATION].bob.read.offset, 9);
});

test("opening a conversation draws the line where reading ended", () => {
  assert.equal(store.withOpen(stateWith(conversation()), CONVERSATION).newAfter, 8);
  assert.equal(store.withOpen(stateWith(conversation(CONVERSATION, { read: { offset: 10, n: 10 } })), CONVERSATION).newAfter, null);
});

test("what comes in while nobody looks gets a line", () => {
  const state = { ...opened(stateWith(conversation(CONVERSATION, { read: { offset: 10, n: 10 } }))), hidden: true };
  const next = store.withEvent(store.withEvent(state, created(11), 1), created(12), 1);
  assert.equal(next.newAfter, 10);
  assert.equal(store.withoutLine(next).newAfter, null);
});

test("a conversation that is closed keeps its newest messages", () => {
  const state = store.withOpen(opened(stateWith(conversation()), run(1, 300)), null);
  assert.equal(state.logs[CONVERSATION].messages.length, logs.KEPT_CLOSED);
});

test("a subscription tells the head: what lies between is missing", () => {
  const state = store.withSubscribed(opened(stateWith(conversation())), CONVERSATION, {
    recovered: false, head: { offset: 15, n: 14 }, read: { offset: 12, n: 12 },
  });
  assert.equal(state.logs[CONVERSATION].missingAfter, 10);
  assert.equal(seen(state).unread, 2);
});

test("a recovered subscription leaves the counting to the publications that follow", () => {
  const state = store.withSubscribed(opened(stateWith(conversation())), CONVERSATION, {
    recovered: true, head: { offset: 15, n: 14 }, read: { offset: 8, n: 8 },
  });
  assert.equal(state.logs[CONVERSATION].missingAfter, null);
  assert.equal(seen(state).head.offset, 10);
});

test("whoever is removed from the open conversation is shown none", () => {
  const state = store.withoutConversation(opened(stateWith(conversation())), CONVERSATION);
  assert.equal(state.open, null);
  assert.deepEqual(state.conversations, {});
});

test("the store tells of many changes at once", () => {
  const scheduled = [];
  const heard = [];
  const kept = new store.Store({ n: 0 }, { listener: ({ n }) => heard.push(n), schedule: (action) => scheduled.push(action) });
  kept.update((state) => state);
  kept.update(({ n }) => ({ n: n + 1 }));
  kept.update(({ n }) => ({ n: n + 1 }));
  scheduled.forEach((action) => action());
  assert.deepEqual(heard, [2]);
});
