import assert from "node:assert/strict";
import test from "node:test";

import * as logs from "../../../../chat/play/static/log.js";
import { listItems, peopleToWatch, rows, subtitle, typingLine } from "../../../../chat/play/static/select.js";
import * as store from "../../../../chat/play/static/store.js";
import { timeFormats } from "../../../../chat/play/static/time.js";
import { CONVERSATION, conversation, message, OTHER, page, stateWith } from "./support.mjs";

const times = timeFormats({ locale: "en-GB", timeZone: "UTC" });
const NOON = Date.UTC(2026, 2, 14, 12);
const MINUTE = 60_000;

function shown(messages, { waiting = [], ...more } = {}, about = {}) {
  let state = store.withOpen(stateWith(conversation(CONVERSATION, { read: { offset: 99, n: 99 }, ...about })), CONVERSATION);
  state = store.withLog(state, CONVERSATION, (log) => logs.withNewest(logs.withLoading(log, 1), 1, page(messages)));
  return { ...state, waiting, ...more };
}

const drawn = (state) => rows(state, NOON, times);
const texts = (list) => list.filter(({ kind }) => kind === "message").map(({ text }) => text);

test("what waits is shown below, and not twice once it is in the log", () => {
  const waiting = [
    { key: "k1", conversation: CONVERSATION, text: "message 2", created_at: NOON },
    { key: "k2", conversation: CONVERSATION, text: "still waiting", created_at: NOON + 1 },
    { key: "k3", conversation: OTHER, text: "elsewhere", created_at: NOON + 1 },
  ];
  const list = drawn(shown([message(1, { at: NOON }), message(2, { at: NOON, sender: "alice", idempotency_key: "k1" })], { waiting }));
  assert.deepEqual(texts(list), ["message 1", "message 2", "still waiting"]);
  assert.deepEqual(list.map(({ status }) => status).filter(Boolean), ["sent", "pending"]);
});

test("a message keeps its row when it is stored", () => {
  const waiting = [{ key: "k1", conversation: CONVERSATION, text: "hi", created_at: NOON }];
  const before = drawn(shown([], { waiting })).find(({ kind }) => kind === "message");
  const after = drawn(shown([message(1, { sender: "alice", idempotency_key: "k1", at: NOON })])).find(({ kind }) => kind === "message");
  assert.equal(before.key, after.key);
});

test("another's key is not mistaken for one's own", () => {
  const waiting = [{ key: "k1", conversation: CONVERSATION, text: "mine", created_at: NOON }];
  const list = drawn(shown([message(1, { idempotency_key: "k1", at: NOON })], { waiting }));
  assert.deepEqual(texts(list), ["message 1", "mine"]);
});

test("days have a heading, and messages of one person stand together for five minutes", () => {
  const at = [NOON - 24 * 60 * MINUTE, NOON - 10 * MINUTE, NOON - 6 * MINUTE, NOON];
  const list = drawn(shown(at.map((each, i) => message(i + 1, { at: each }))));
  assert.deepEqual(list.map(({ kind, label }) => label ?? kind), ["Yesterday", "message", "Today", "message", "message", "message"]);
  assert.deepEqual(list.filter(({ kind }) => kind === "message").map(({ first, last }) => [first, last]),
    [[true, true], [true, false], [false, true], [true, true]]);
});

test("the line above new messages stands once, above somebody else's", () => {
  const list = drawn(shown(
    [message(1, { at: NOON }), message(2, { at: NOON, sender: "alice" }), message(3, { at: NOON }), message(4, { at: NOON })],
    { newAfter: 1 }));
  assert.deepEqual(list.map(({ kind }) => kind), ["day", "message", "message", "new", "message", "message"]);
});

test("ticks say who has read", () => {
  const members = (offset) => ({ [CONVERSATION]: {
    alice: { user: "alice", read: { offset: 9 } }, bob: { user: "bob", read: { offset: 9 } }, carol: { user: "carol", read: { offset } },
  } });
  const mine = message(5, { sender: "alice", at: NOON });
  const [, part] = drawn(shown([mine], { members: members(4) }));
  assert.deepEqual([part.status, part.readBy], ["sent", "Read by Bob"]);
  const [, all] = drawn(shown([mine], { members: members(5) }));
  assert.deepEqual([all.status, all.readBy], ["read", "Read by Bob and carol"]);
});

test("names stand above a group's messages, not in a direct conversation", () => {
  const group = { peer: undefined, kind: "group", title: "Team" };
  assert.equal(drawn(shown([message(1, { at: NOON })])).at(-1).name, "");
  assert.equal(drawn(shown([message(1, { at: NOON })], {}, group)).at(-1).name, "bob");
});

test("the list is by latest activity, what waits to be sent included", () => {
  const state = stateWith(conversation(CONVERSATION, { activity_at: 10 }), conversation(OTHER, { activity_at: 20 }));
  const ids = (each) => listItems(each, NOON, times).map(({ id }) => id);
  assert.deepEqual(ids(state), [OTHER, CONVERSATION]);
  const waiting = [{ key: "k", conversation: CONVERSATION, text: "a\n b", created_at: 30 }];
  assert.deepEqual(ids({ ...state, waiting }), [CONVERSATION, OTHER]);
  assert.equal(listItems({ ...state, waiting }, NOON, times)[0].preview, "You: a b");
});

test("the list says who writes, and that somebody is typing", () => {
  const group = { peer: undefined, kind: "group", title: "Team" };
  const state = stateWith(conversation(), conversation(OTHER, group));
  const [direct, team] = listItems(state, NOON, times);
  assert.deepEqual([direct.preview, team.preview], ["hello", "Bob: hello"]);
  const typing = { [CONVERSATION]: { bob: NOON + 1 }, [OTHER]: { bob: NOON - 1 } };
  assert.deepEqual(listItems({ ...state, typing }, NOON, times).map((item) => item.typing), ["typing…", ""]);
});

test("several people typing are named", () => {
  const state = { ...stateWith(conversation()), typing: { [CONVERSATION]: { bob: NOON + 1, carol: NOON + 1 } } };
  assert.equal(typingLine(state, CONVERSATION, NOON), "Bob and carol are typing");
  assert.equal(typingLine(state, CONVERSATION, NOON + 2), "");
});

test("the head says whether the peer is there, or how many are", () => {
  const state = stateWith(conversation());
  const line = (each) => subtitle(each, each.conversations[CONVERSATION], NOON, times);
  assert.equal(line({ ...state, presence: { bob: { online: true } } }), "Online");
  assert.equal(line({ ...state, presence: { bob: { online: false, last_seen_at: NOON - 3 * MINUTE } } }), "Last seen 3 minutes ago");
  const group = stateWith(conversation(CONVERSATION, { peer: undefined, members_count: 3 }));
  const members = { [CONVERSATION]: { alice: {}, bob: {}, carol: {} } };
  const online = store.withLink(group, "online");
  assert.equal(line({ ...online, members, presence: { bob: { online: true } } }), "3 members, 2 online");
});

test("presence is asked of peers and of members on screen, never of oneself", () => {
  const state = store.withOpen(stateWith(conversation()), CONVERSATION);
  assert.deepEqual(peopleToWatch({ ...state, members: { [CONVERSATION]: { alice: {}, carol: {} } } }).sort(), ["bob", "carol"]);
});

test("without a connection nobody is said to be there", () => {
  const known = store.withPresence(store.withLink(stateWith(conversation()), "online"), [{ user: "bob", online: true }]);
  const line = (each) => subtitle(each, each.conversations[CONVERSATION], NOON, times);
  assert.equal(line(known), "Online");
  assert.equal(line(store.withLink(known, "offline")), "");
  assert.equal(listItems(store.withLink(known, "offline"), NOON, times)[0].online, false);
});
