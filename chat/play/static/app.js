// What the page does: reacts to the connection and to its user, and keeps the state.

import { Actions } from "./actions.js";
import * as logs from "./log.js";
import { History } from "./history.js";
import { People } from "./people.js";
import { Reader } from "./reader.js";
import { patiently } from "./retry.js";
import { Search } from "./search.js";
import { Sender } from "./sender.js";
import * as store from "./store.js";
import { Threads } from "./threads.js";
import { TypingOut } from "./typing.js";
import { Uploads } from "./uploads.js";
import { utf8Length } from "./text.js";

const PRESENCE_EVERY_MS = 10_000;
const LIST_PAGE = 100;
const LIST_PAGES = 5;
const SHOW_PAGES = 40;

export class App {
  #store;
  #link = null;
  #read; // like #call, for what may be asked twice
  #outbox;
  #newKey;
  #now;

  /**
   * `store`, `outbox`, `rest`; `now()` in ms; `newKey()` an idempotency key; `later(ms, action)`; `announce(text)` to
   * screen readers; `failed(error)` shows what did not work.
   */
  constructor({ store: kept, outbox, rest, now, newKey, later, announce, failed }) {
    const call = (method, params) => this.#call(method, params);
    const patience = { later, worthwhile: () => this.online };
    this.#store = kept;
    this.#read = (method, params) => patiently(() => this.#call(method, params), patience);
    this.#outbox = outbox;
    this.#now = now;
    this.#newKey = newKey;
    this.announce = announce;
    this.failed = failed;
    const messages = (...page) => patiently(() => rest.messages(...page), patience);
    this.history = new History({ store: kept, rest: { messages }, later });
    this.actions = new Actions({ store: kept, call, newKey });
    this.search = new Search({ store: kept, read: this.#read });
    this.threads = new Threads({ store: kept, read: this.#read });
    this.uploads = new Uploads({ store: kept, call, newKey, put: (...upload) => rest.put(...upload) });
    this.upload = (id) => patiently(() => rest.upload(id), patience);
    this.people = new People({ store: kept, read: this.#read });
    this.reader = new Reader({ store: kept, call, later });
    this.sender = new Sender({
      outbox, call, later,
      online: () => this.online,
      onSent: (message) => this.#sent(message),
      onChange: () => this.#outboxChanged(),
    });
    this.typing = new TypingOut({ now, say: (method, conversation) => this.#say(method, conversation) });
    this.#outboxChanged();
  }

  get state() {
    return this.#store.state;
  }

  get online() {
    return this.state.link.state === "online";
  }

  /** `connect(on)` → link (see link.js). */
  start(connect, every) {
    this.#link = connect({
      connecting: () => this.#linkIs("connecting"),
      failed: () => this.#linkIs("offline"),
      ended: (reason) => this.#linkIs("ended", reason),
      connected: (data) => this.#connected(data),
      subscribed: (conversation, context) => this.#subscribed(conversation, context),
      event: (event) => this.#event(event),
    });
    every(PRESENCE_EVERY_MS, () => this.online && !this.state.hidden && this.people.watch());
  }

  // --- the connection ------------------------------------------------------------------------------------------------

  async #connected({ limits }) {
    this.#store.update((state) => ({ ...state, limits: { ...state.limits, ...limits } }));
    this.#linkIs("online");
    this.sender.flush();
    this.reader.flush();
    this.history.catchUpAll();
    this.people.know(this.state.me);
    await this.refreshList();
    this.people.watch();
    this.#look();
  }

  /** Read the list of conversations. A failure is in the state. */
  async refreshList() {
    const known = Object.keys(this.state.conversations);
    try {
      const { all, complete } = await this.#conversations();
      this.#store.update((state) => store.withList(state, all, complete ? known : []));
    } catch (error) {
      this.#store.update((state) => ({ ...state, list: { ...state.list, failure: error.message ?? "" } }));
      return;
    }
    for (const { last_message: last } of Object.values(this.state.conversations)) {
      if (last) this.people.know(last.sender);
    }
  }

  async #conversations() {
    const all = [];
    let before;
    for (let page = 0; page < LIST_PAGES; page++) {
      const { conversations, next } = await this.#read("conversation.list", { limit: LIST_PAGE, before });
      all.push(...conversations);
      if (!next) return { all, complete: true };
      before = next;
    }
    return { all, complete: false };
  }

  #subscribed(conversation, { recovered, data }) {
    if (!data?.head) return;
    this.#store.update((state) => store.withSubscribed(state, conversation, { recovered, ...data }));
    this.history.catchUp(conversation);
    if (conversation === this.state.open) this.history.open(conversation);
    if (this.#isUnknown(conversation)) this.refreshConversation(conversation);
  }

  #event(event) {
    switch (event?.type) {
      case "conversation.joined":
        this.refreshConversation(event.conversation);
        return;
      case "conversation.removed":
        this.#store.update((state) => store.withoutConversation(state, event.conversation));
        return;
      case "unread":
        this.#store.update((state) => store.withRead(state, event.conversation, event.read));
        return;
      case "message.hidden":
        this.#store.update((state) => store.withHidden(state, event.conversation, event.offsets));
        return;
      case "conversation.preferences":
        this.#store.update((state) => store.withPreferences(state, event.conversation, event.preferences));
        return;
      case "user.changed":
        this.people.know(event.user, { again: true });
        return;
      default:
        if (typeof event?.conversation === "string") this.#conversationEvent(event);
    }
  }

  #conversationEvent(event) {
    this.#store.update((state) => store.withEvent(state, event, this.#now()));
    if (event.by) this.people.know(event.by);
    if (event.type === "message.created") this.#heard(event.message);
    if (event.offset && event.by !== this.state.me) this.reader.received(event.conversation, event.offset);
    if (event.type.startsWith("member.")) this.refreshConversation(event.conversation);
    if (this.#isUnknown(event.conversation)) this.refreshConversation(event.conversation);
  }

  #heard(message) {
    if (message.sender === this.state.me) {
      // Stored, even if the answer to the send was lost.
      if (message.idempotency_key) this.#outbox.remove(message.idempotency_key);
      this.#outboxChanged();
    } else if (message.conversation === this.state.open) {
      this.announce(`${this.state.users[message.sender]?.name ?? message.sender}: ${message.text}`);
    }
  }

  /** Read one conversation anew: it is new to us, or there is something that this session does not hear. */
  async refreshConversation(id) {
    try {
      const { conversation } = await this.#read("conversation.get", { conversation: id });
      this.#store.update((state) => store.withSubscribed(store.withConversation(state, conversation), id, {
        recovered: false, head: conversation.head, read: conversation.read,
      }));
    } catch {
      return; // no member any more, or the connection went: the next list says
    }
    this.history.catchUp(id);
    this.#look();
  }

  // --- the user ------------------------------------------------------------------------------------------------------

  /** Show a conversation, or none. */
  open(id) {
    if (this.state.open !== id) this.typing.stop();
    this.#store.update((state) => store.withOpen(state, id));
    this.#look();
  }

  /** Have what the open conversation shows. */
  #look() {
    const { open } = this.state;
    if (!open) return;
    this.threads.closeAllBut(open);
    if (store.isThread(open)) {
      if (this.online) this.threads.open(open, (id) => this.#link.follow(id));
      this.history.open(store.rootOf(open)[0]); // what it answers is there
    }
    this.history.open(open);
    if (this.online && !store.isThread(open)) this.people.members(open);
  }

  /**
   * Send to the open conversation: now, or when there is a connection. With what is attached and what it answers.
   * Returns what is wrong, or "".
   */
  send(text) {
    const { open: conversation, attached, composing } = this.state;
    const trimmed = text.trim();
    const files = attached.some(({ state }) => state === "ready");
    if (!conversation || (!trimmed && !files)) return "";
    if (utf8Length(trimmed) > this.state.limits.message_text_bytes) return "This message is too long";
    if (attached.some(({ state }) => state === "uploading")) return "A file is still on its way";
    const replyTo = composing?.kind === "reply" && composing.conversation === conversation ? composing.offset : undefined;
    const kept = this.#outbox.add({
      key: this.#newKey(), conversation, text: trimmed, replyTo, attachments: this.uploads.take(), createdAt: this.#now(),
    });
    if (!kept) return "Too many messages are waiting to be sent";
    this.typing.stop({ silently: true });
    this.compose(null);
    this.#store.update(store.withoutLine);
    this.#outboxChanged();
    this.sender.flush();
    return "";
  }

  /** Do something for the user. What goes wrong is shown. */
  async attempt(action) {
    try {
      await action();
    } catch (error) {
      this.failed(error);
    }
  }

  /** What is written next answers or edits a message: {kind: "reply" | "edit", conversation, offset}; null: neither. */
  compose(about) {
    this.#store.update((state) => (state.composing === about ? state : { ...state, composing: about }));
  }

  /** Bring a message of the open conversation on screen, reading back to it. False: it is too far back. */
  async show(conversation, offset) {
    for (let page = 0; page < SHOW_PAGES; page++) {
      const log = store.logOf(this.state, conversation);
      if (this.state.open !== conversation) return false;
      if (logs.messageAt(log, offset)) {
        this.#store.update((state) => ({ ...state, shown: { conversation, offset } }));
        return true;
      }
      if (!logs.canPageBack(log) || (log.messages[0]?.offset ?? 0) < offset) return false;
      await this.history.older(conversation);
    }
    return false;
  }

  retry(key) {
    this.#outbox.retry(key);
    this.#outboxChanged();
    this.sender.flush();
  }

  discard(key) {
    this.#outbox.remove(key);
    this.#outboxChanged();
  }

  /** The text in the composer changed. */
  typed(text) {
    if (this.state.open && this.online) this.typing.input(this.state.open, text);
  }

  /** Create a conversation and show it. Throws {message}. */
  async create({ kind, members, title }, idempotencyKey) {
    const params = { kind, members, idempotency_key: idempotencyKey };
    if (kind === "group") params.title = title;
    const { conversation } = await this.#call("conversation.create", params);
    this.#store.update((state) => store.withConversation(state, conversation));
    for (const user of members) this.people.know(user);
    return conversation.id;
  }

  /** The page is looked at, or not. */
  watched(hidden) {
    this.#store.update((state) => (state.hidden === hidden ? state : { ...state, hidden }));
    if (hidden || !this.online) return;
    this.people.watch();
  }

  /** Another tab of this user changed the outbox. */
  storageChanged(name, value) {
    if (this.#outbox.changedElsewhere(name, value)) this.#outboxChanged();
  }

  reconnect() {
    this.#linkIs("connecting");
    this.#link.retry();
  }

  // --- helpers -------------------------------------------------------------------------------------------------------

  async #call(method, params) {
    if (!this.online) throw { code: 0, message: "There is no connection" };
    return this.#link.call(method, params);
  }

  /** Something happens in a conversation that the list does not have. */
  #isUnknown(conversation) {
    return this.state.list.loaded && !this.state.conversations[conversation] && !store.isThread(conversation);
  }

  /** Tell the server something that may be lost. */
  #say(method, conversation) {
    this.#call(method, { conversation }).catch(() => undefined);
  }

  #sent(message) {
    this.#store.update((state) =>
      store.withActivity(store.withLog(state, message.conversation, (log) => logs.withSent(log, message)), message));
  }

  #outboxChanged() {
    const waiting = this.#outbox.entries();
    this.#store.update((state) => ({ ...state, waiting }));
  }

  #linkIs(link, detail = "") {
    this.#store.update((state) => store.withLink(state, link, detail));
  }
}
