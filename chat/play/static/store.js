// What the page knows, and how it changes. Pure but for the Store class: every function gives a new state.

import { changeOf, pinsAfter } from "./changes.js";
import * as logs from "./log.js";
import { EXPIRES_MS, withTyping } from "./typing.js";

/** The state of a page that has just started. `me` is a user id. */
export function initial(me) {
  return {
    me,
    link: { state: "connecting", detail: "" }, // connecting | online | offline | ended
    limits: { message_text_bytes: 16_384 },
    list: { loaded: false, failure: null },
    conversations: {}, // id → Conversation as the server gives it
    users: {}, // id → User
    presence: {}, // id → {online, last_seen_at}
    typing: {}, // conversation → {user: until}
    members: {}, // conversation → {user: Member}
    logs: {}, // conversation → log
    paging: {}, // conversation → {busy, failure} of reading its messages
    waiting: [], // outbox entries
    roots: {}, // thread → the message that it is below, where its own log is not at hand
    mine: {}, // "<conversation>.<offset>" → reactions of the user's own, as far as they are known
    composing: null, // {kind: "reply" | "edit", conversation, offset} what is written is about that message
    attached: [], // {key, name, url, state: "uploading" | "ready" | "failed", upload, failure} to go with the next message
    search: null, // {conversation, text, items, next, busy, failure}
    shown: null, // {conversation, offset} a message to be brought on screen
    open: null, // the conversation on screen
    newAfter: null, // messages of the open one above this offset are new; null: no line is drawn
    hidden: false, // nobody looks at the page
  };
}

/** Holds the state and tells one listener of changes, once per frame at most. */
export class Store {
  #listener;
  #schedule;
  #scheduled = false;

  constructor(state, { listener, schedule }) {
    this.state = state;
    this.#listener = listener;
    this.#schedule = schedule;
  }

  /** `change(state)` → new state; the same object when nothing changed. */
  update(change) {
    const next = change(this.state);
    if (next === this.state) return;
    this.state = next;
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#schedule(() => {
      this.#scheduled = false;
      this.#listener(this.state);
    });
  }
}

const put = (state, part, id, value) =>
  state[part][id] === value ? state : { ...state, [part]: { ...state[part], [id]: value } };

/** Whether an id is that of the replies below a message: they have no place in the list of conversations. */
export const isThread = (id) => id.includes("~");

/** The conversation and the message that a thread is below: [id, offset]. */
export function rootOf(thread) {
  const [id, offset] = thread.split("~");
  return [id, Number(offset)];
}

export const logOf = (state, conversation) => state.logs[conversation] ?? logs.EMPTY;

/** `change(log)` → log. */
export function withLog(state, conversation, change) {
  return put(state, "logs", conversation, change(logOf(state, conversation)));
}

/** How the connection is. Without one nobody's presence is known, and nobody is heard typing. */
export function withLink(state, link, detail = "") {
  const known = link === "online" ? {} : { presence: {}, typing: {} };
  return { ...state, ...known, link: { state: link, detail } };
}

export function withUser(state, user) {
  return put(state, "users", user.id, user);
}

export function withPresence(state, list) {
  const presence = { ...state.presence };
  for (const { user, online = false, last_seen_at = null } of list) presence[user] = { online, last_seen_at };
  return { ...state, presence };
}

/** Whoever writes or types is there, whatever was heard of them before. */
function seen(state, user, at) {
  return state.presence[user]?.online ? state : put(state, "presence", user, { online: true, last_seen_at: at });
}

export function withMembers(state, conversation, members) {
  return put(state, "members", conversation, Object.fromEntries(members.map((member) => [member.user, member])));
}

export function withPaging(state, conversation, paging) {
  return put(state, "paging", conversation, paging);
}

/** One conversation as the server describes it; an answer older than what was heard since changes nothing newer. */
export function withConversation(state, fresh) {
  const known = state.conversations[fresh.id];
  const next = known && known.head.offset > fresh.head.offset
    ? { ...fresh, head: known.head, last_message: known.last_message, activity_at: known.activity_at }
    : fresh;
  const read = known && known.read.offset > next.read.offset ? known.read : next.read;
  const users = fresh.peer ? put(state, "users", fresh.peer.id, fresh.peer) : state;
  return put(users, "conversations", fresh.id, counted({ ...next, read }));
}

/** The user's conversations. Those known when they were asked for and not among them are gone. */
export function withList(state, list, known) {
  const listed = new Set(list.map(({ id }) => id));
  const gone = known.filter((id) => !listed.has(id) && !isThread(id));
  const next = list.reduce(withConversation, gone.reduce(withoutConversation, state));
  return { ...next, list: { loaded: true, failure: null } };
}

/** Not a member any more. */
export function withoutConversation(state, id) {
  const { [id]: _, ...conversations } = state.conversations;
  const { [id]: __, ...rest } = state.logs;
  return { ...state, conversations, logs: rest, open: state.open === id ? null : state.open };
}

const counted = (conversation) => ({
  ...conversation, unread: Math.max(0, conversation.head.n - conversation.read.n),
});

/** The read position as the server has it (or will, when we have just told it). */
export function withRead(state, conversation, read) {
  const known = state.conversations[conversation];
  return known ? put(state, "conversations", conversation, counted({ ...known, read })) : state;
}

/** A message exists, however we heard of it: what the list shows of its conversation. */
export function withActivity(state, message) {
  const known = state.conversations[message.conversation];
  if (!known || message.offset <= (known.last_message?.offset ?? 0)) return state;
  const { offset, n, sender, text, created_at } = message;
  const head = offset > known.head.offset ? { offset, n } : known.head;
  const read = sender === state.me && offset > known.read.offset ? { offset, n } : known.read;
  const last_message = { offset, sender, text: text.slice(0, 100), created_at };
  const next = { ...known, head, read, last_message, activity_at: created_at };
  return put(state, "conversations", known.id, counted(next));
}

/** A publication of `conv:<conversation>`. `now` in ms. */
export function withEvent(state, event, now) {
  const id = event.conversation;
  switch (event.type) {
    case "message.created":
      return withMessage(state, event.message, now);
    case "typing":
      return event.by === state.me ? state : typed(seen(state, event.by, now), event, now);
    case "read":
      return event.by === state.me ? state : withPeerPosition(state, id, event.by, { read: event.read });
    case "delivered":
      return event.by === state.me ? state : withPeerPosition(state, id, event.by, { delivered: event.delivered });
    case "presence":
      return withPresence(state, [{ user: event.by, online: event.online, last_seen_at: event.last_seen_at ?? null }]);
    case "conversation.updated":
      return withTitle(withEntry(state, event), id, event);
    case "member.joined":
    case "member.left":
    case "member.changed":
      return put(withEntry(state, event), "members", id, undefined); // read again where it is shown
    default:
      return withTarget(withEntry(state, event), event);
  }
}

function withMessage(state, message, now) {
  const { conversation: id, sender, offset } = message;
  let next = withLog(state, id, (log) => logs.withLive(log, message));
  if (id !== state.open) next = withLog(next, id, (log) => logs.trimmed(log, logs.KEPT_CLOSED));
  next = withActivity(next, message);
  if (sender === state.me) return next;
  if (id === state.open && state.hidden && state.newAfter === null) next = { ...next, newAfter: offset - 1 };
  return put(seen(next, sender, now), "typing", id, withTyping(next.typing[id] ?? {}, sender, null));
}

/** The user answers: nothing above is new any more. */
export function withoutLine(state) {
  return state.newAfter === null ? state : { ...state, newAfter: null };
}

/** An entry that is no message still moves the position and the head. */
function withEntry(state, { conversation, offset }) {
  if (!offset) return state;
  const known = state.conversations[conversation];
  const next = withLog(state, conversation, (log) => logs.withPosition(log, offset));
  if (!known || offset <= known.head.offset) return next;
  return put(next, "conversations", conversation, { ...known, head: { ...known.head, offset } });
}

function typed(state, { conversation, by, active, expires_in_ms: expires = EXPIRES_MS }, now) {
  const until = active ? now + Math.min(expires, EXPIRES_MS) : null;
  return put(state, "typing", conversation, withTyping(state.typing[conversation] ?? {}, by, until));
}

/** Something happened to a message. */
function withTarget(state, event) {
  const change = changeOf(event);
  if (change === null) return state;
  const next = withLog(state, event.conversation, (log) => logs.withChanged(log, event.target, change));
  const known = next.conversations[event.conversation];
  if (!known) return next;
  const last = known.last_message?.offset === event.target ? lastAfter(known.last_message, event) : known.last_message;
  const pins = pinsAfter(known.pins ?? [], event);
  return put(next, "conversations", known.id, { ...known, last_message: last, pins });
}

function lastAfter(last, event) {
  if (event.type === "message.deleted") return { ...last, text: "" };
  return event.type === "message.edited" ? { ...last, text: (event.message.text ?? "").slice(0, 100) } : last;
}

/** A member has read or received more: `positions` is {read} or {delivered}. */
function withPeerPosition(state, conversation, user, positions) {
  const members = state.members[conversation];
  const known = members?.[user];
  if (!known) return state;
  const newer = Object.entries(positions).filter(([name, { offset }]) => offset > (known[name]?.offset ?? 0));
  if (!newer.length) return state;
  return put(state, "members", conversation, { ...members, [user]: { ...known, ...Object.fromEntries(newer) } });
}

/** The user's own reactions to a message. */
export function withMine(state, message, reactions) {
  return put(state, "mine", message, reactions);
}

/** The user has deleted messages for themselves. */
export function withHidden(state, conversation, offsets) {
  return withLog(state, conversation, (log) => logs.withoutMessages(log, offsets));
}

export function withPreferences(state, conversation, preferences) {
  const known = state.conversations[conversation];
  return known ? put(state, "conversations", conversation, { ...known, preferences }) : state;
}

const SETTABLE = ["title", "avatar_url", "description", "custom", "settings", "oldest"];

function withTitle(state, id, event) {
  const known = state.conversations[id];
  if (!known) return state;
  const changed = SETTABLE.filter((name) => event[name] !== undefined).map((name) => [name, event[name]]);
  return put(state, "conversations", id, { ...known, ...Object.fromEntries(changed) });
}

/** The server's word on what is live in this session: head and read position come with a subscription. */
export function withSubscribed(state, conversation, { recovered, head, read }) {
  const next = withLog(state, conversation, (log) => logs.onSubscribed(log, { recovered, head: head.offset }));
  const known = next.conversations[conversation];
  if (!known) return next;
  // Without `n` where the server has only the offset at hand.
  const newer = head.offset > known.head.offset ? { ...known.head, ...head } : known.head;
  const at = read && read.offset > known.read.offset ? read : known.read;
  const told = { ...known, head: recovered ? known.head : newer, read: at };
  return put(next, "conversations", conversation, counted(told));
}

/** Show a conversation (null: the list). What is unread in it gets a line above it. */
export function withOpen(state, id) {
  if (state.open === id) return state;
  const known = state.conversations[id];
  const closed = state.open ? withLog(state, state.open, (log) => logs.trimmed(log, logs.KEPT_CLOSED)) : state;
  const cleared = { composing: null, attached: [], search: null, shown: null };
  return { ...closed, ...cleared, open: id, newAfter: known?.unread ? known.read.offset : null };
}
