// What the views show, worked out from the state. Pure.

import { messageAt } from "./log.js";
import { isThread, rootOf } from "./store.js";
import { stillTyping } from "./typing.js";
import { count, enumerate } from "./text.js";

/** Messages of one person within this time stand together. */
const GROUP_MS = 5 * 60_000;

function nameOf(state, user) {
  return state.users[user]?.name || user;
}

/** What one calls somebody where there is little room. */
function firstName(state, user) {
  return nameOf(state, user).split(" ")[0];
}

export function titleOf(state, conversation) {
  if (isThread(conversation.id)) return "Thread";
  if (conversation.peer) return nameOf(state, conversation.peer.id);
  return conversation.title || "Unnamed group";
}

/** The list on the left: newest activity first, what waits to be sent included. */
export function listItems(state, now, times) {
  const waiting = new Map(state.waiting.map((entry) => [entry.conversation, entry])); // the last one of each
  return listed(state)
    .map((conversation) => listItem(state, conversation, waiting.get(conversation.id), now, times))
    .sort((a, b) => b.activityAt - a.activityAt || (a.id < b.id ? -1 : 1));
}

/** What is in the list: neither threads nor what the user has put away. */
function listed(state) {
  return Object.values(state.conversations).filter(({ id, preferences }) => !isThread(id) && !preferences?.archived_at);
}

function listItem(state, conversation, waiting, now, times) {
  const { id, peer, last_message: last, unread } = conversation;
  const activityAt = Math.max(conversation.activity_at ?? conversation.created_at, waiting?.created_at ?? 0);
  const typing = typingIn(state, id, now);
  return {
    id, activityAt, unread,
    title: titleOf(state, conversation),
    avatar: peer?.id ?? id,
    group: !peer,
    online: peer ? Boolean(state.presence[peer.id]?.online) : null,
    when: times.listLabel(activityAt, now),
    whenExact: times.exact(activityAt),
    typing: typing.length ? (peer ? "typing…" : `${firstName(state, typing[0])} is typing…`) : "",
    preview: preview(state, conversation, last, waiting),
    pending: Boolean(waiting),
    failed: Boolean(waiting?.failure),
    open: state.open !== null && (isThread(state.open) ? rootOf(state.open)[0] : state.open) === id,
  };
}

function preview(state, conversation, last, waiting) {
  if (waiting) return `You: ${oneLine(waiting.text)}`;
  if (!last) return "No messages yet";
  const text = oneLine(last.text) || "…";
  if (last.sender === state.me) return `You: ${text}`;
  return conversation.peer ? text : `${firstName(state, last.sender)}: ${text}`;
}

const oneLine = (text) => text.replace(/\s+/gu, " ").trim();

/** Users typing in a conversation now. */
function typingIn(state, conversation, now) {
  return Object.keys(stillTyping(state.typing[conversation] ?? {}, now));
}

/** "Bob is typing", or "" . */
export function typingLine(state, conversation, now) {
  const users = typingIn(state, conversation, now);
  if (!users.length) return "";
  const names = enumerate(users.map((user) => nameOf(state, user)));
  return `${names} ${users.length === 1 ? "is" : "are"} typing`;
}

/** The line under the title of the open conversation. */
export function subtitle(state, conversation, now, times) {
  if (isThread(conversation.id)) {
    const parent = state.conversations[rootOf(conversation.id)[0]];
    return parent ? `in ${titleOf(state, parent)}` : "";
  }
  if (conversation.peer) {
    const known = state.presence[conversation.peer.id];
    if (!known) return "";
    if (known.online) return "Online";
    return known.last_seen_at ? `Last seen ${times.ago(known.last_seen_at, now)}` : "Offline";
  }
  const members = Object.keys(state.members[conversation.id] ?? {});
  const online = members.filter((user) => user === state.me || state.presence[user]?.online).length;
  const total = count(conversation.members_count, "member");
  return members.length && state.link.state === "online" ? `${total}, ${online} online` : total;
}

/** Who is worth asking the presence of: peers, and members of the open conversation. At most 100. */
export function peopleToWatch(state) {
  const people = new Set(Object.keys(state.members[state.open] ?? {}));
  for (const { peer } of Object.values(state.conversations)) if (peer) people.add(peer.id);
  people.delete(state.me);
  return [...people].slice(0, 100);
}

export function unreadTotal(state) {
  return listed(state).reduce((sum, { unread }) => sum + unread, 0);
}

/** Messages of others above our read position. */
export function unreadIn(state, conversation) {
  return state.conversations[conversation]?.unread ?? 0;
}

/**
 * The rows of the open conversation: days, the line above new messages, messages, and those still waiting.
 *
 * A message of one's own has its idempotency key as its row's key, so waiting and sent are the same row, and one that
 * is in the log is not shown as waiting as well.
 */
export function rows(state, now, times) {
  const id = state.open;
  const log = state.logs[id];
  if (!log?.loaded) return [];
  const readers = Object.values(state.members[id] ?? {}).filter((member) => member.user !== state.me);
  const keys = new Set();
  const shown = log.messages.map((message) => {
    if (message.sender === state.me && message.idempotency_key) keys.add(message.idempotency_key);
    return messageRow(state, message, readers);
  });
  const waiting = state.waiting.filter((entry) => entry.conversation === id && !keys.has(entry.key));
  return laidOut(state, [...rootRow(state, id), ...shown, ...waiting.map((entry) => waitingRow(state, entry))], now, times);
}

const NONE = Object.freeze({});

function messageRow(state, message, readers) {
  const own = message.sender === state.me;
  return {
    kind: "message", own, sender: message.sender, at: message.created_at, text: message.text ?? "",
    key: own && message.idempotency_key ? `k:${message.idempotency_key}` : `o:${message.offset}`,
    offset: message.offset, message,
    deleted: Boolean(message.deleted_at),
    edited: Boolean(message.edited_at), pinned: Boolean(message.pinned_at),
    ...quote(state, message.conversation, message.reply_to),
    reactions: message.reactions ?? NONE, mine: state.mine[message.id] ?? NONE,
    replies: message.thread?.replies ?? 0, attachments: message.attachments,
    forwarded: message.forwarded ? nameOf(state, message.forwarded.sender) : "",
    status: own && !message.deleted_at ? delivery(message, readers) : "",
    readBy: own ? readBy(state, message, readers) : "",
  };
}

function waitingRow(state, entry) {
  return {
    kind: "message", own: true, sender: state.me, at: entry.created_at, text: entry.text,
    key: `k:${entry.key}`, offset: 0, outbox: entry.key, message: null,
    deleted: false, edited: false, pinned: false,
    ...quote(state, entry.conversation, entry.reply_to),
    reactions: NONE, mine: NONE, replies: 0, attachments: entry.attachments, forwarded: "",
    status: entry.failure ? "failed" : "pending", failure: entry.failure ?? "", readBy: "",
  };
}

/** The message that a thread is below stands above its replies. */
function rootRow(state, id) {
  if (!isThread(id)) return [];
  const [parent, offset] = rootOf(id);
  const root = messageAt(state.logs[parent] ?? { messages: [] }, offset) ?? state.roots[id];
  if (!root) return [];
  return [{ ...messageRow(state, root, []), key: "root", root: true, offset: 0, replies: 0, status: "" }];
}

/** What of another message is shown above the one that answers it. */
function quote(state, conversation, offset) {
  if (!offset) return { quoteOf: 0, quoteName: "", quoteText: "" };
  const quoted = messageAt(state.logs[conversation] ?? { messages: [] }, offset);
  return {
    quoteOf: offset,
    quoteName: quoted ? nameOf(state, quoted.sender) : "",
    quoteText: quoted ? summary(quoted) : "An earlier message",
  };
}

/** A message in one line. */
export function summary(message) {
  if (message.deleted_at) return "Message deleted";
  const text = oneLine(message.text ?? "");
  if (text) return text.slice(0, 200);
  return message.attachments?.length ? message.attachments[0].name || "An attachment" : "…";
}

/** What the composer is about: {kind, name, text} of the message that is answered or edited; null for neither. */
export function composing(state) {
  const { composing: about } = state;
  if (!about || about.conversation !== state.open) return null;
  const message = messageAt(state.logs[about.conversation] ?? { messages: [] }, about.offset);
  if (!message) return null;
  return { kind: about.kind, offset: about.offset, name: nameOf(state, message.sender), text: summary(message), message };
}

/** What the user may do with a message. The server decides; this only leaves out what it would refuse. */
export function actionsOn(state, message) {
  const conversation = state.conversations[isThread(message.conversation) ? rootOf(message.conversation)[0] : message.conversation];
  const own = message.sender === state.me;
  const moderates = ["owner", "admin", "moderator"].includes(conversation?.role) && !conversation?.peer;
  const writes = conversation?.role !== "reader" && (conversation?.kind !== "channel" || moderates);
  const there = !message.deleted_at;
  return {
    react: there && (writes || conversation?.kind === "channel"),
    reply: there && writes,
    thread: there && writes && !isThread(message.conversation),
    edit: there && (own ? writes : false),
    pin: there && (moderates || Boolean(conversation?.peer)),
    remove: there && (own || moderates),
    hide: true,
    copy: there && Boolean(message.text),
    seenBy: there && own,
  };
}

function laidOut(state, messages, now, times) {
  const group = !state.conversations[state.open]?.peer;
  const drawn = [];
  let lineDrawn = state.newAfter === null;
  messages.forEach((message, i) => {
    const previous = messages[i - 1];
    const next = messages[i + 1];
    const day = times.dayKey(message.at);
    const newDay = !previous || times.dayKey(previous.at) !== day;
    const line = !lineDrawn && !message.own && message.offset > state.newAfter;
    if (newDay) {
      const key = `d:${day}:${previous ? message.key : ""}`;
      drawn.push({ kind: "day", key, label: times.dayLabel(message.at, now) });
    }
    if (line) {
      lineDrawn = true;
      drawn.push({ kind: "new", key: "new", label: "New messages" });
    }
    const first = newDay || line || !together(previous, message);
    const last = !next || !together(message, next) || times.dayKey(next.at) !== day;
    drawn.push({
      ...message, first, last,
      name: group && first && !message.own ? nameOf(state, message.sender) : "",
      speaker: message.own ? "You" : nameOf(state, message.sender),
      avatar: group && last && !message.own,
      indented: group && !message.own,
      time: times.clock(message.at),
    });
  });
  return drawn;
}

const together = (a, b) => a.sender === b.sender && b.at - a.at < GROUP_MS && !a.root;

function delivery(message, readers) {
  const reached = (name) => readers.filter((member) => (member[name]?.offset ?? 0) >= message.offset).length;
  const all = readers.length;
  if (!all) return "sent";
  if (reached("read") === all) return "read";
  return readers.every(({ read, delivered }) => Math.max(read?.offset ?? 0, delivered?.offset ?? 0) >= message.offset)
    ? "delivered" : "sent";
}

function readBy(state, message, readers) {
  const names = readers.filter((member) => (member.read?.offset ?? 0) >= message.offset).map(({ user }) => nameOf(state, user));
  return names.length ? `Read by ${enumerate(names)}` : "";
}
