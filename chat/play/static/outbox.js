// Messages that are typed but not yet stored by the server. They live in localStorage, one item each, so that reloading
// the page, restarting the server or closing the tab loses none, and two tabs of one user do not overwrite each other.
// Each keeps its idempotency key for life: sending it twice is harmless.

/** Messages that may wait. Localstorage is small, and nobody types more than this while offline. */
export const MOST_WAITING = 500;

export class Outbox {
  #storage;
  #prefix;
  #entries = new Map();

  /** `storage` is localStorage or alike. What an earlier page of this user left is in it. */
  constructor(storage, user) {
    this.#storage = storage;
    this.#prefix = `hubbub.outbox.${user}.`;
    for (let i = 0; i < storage.length; i++) {
      const name = storage.key(i);
      if (name.startsWith(this.#prefix)) this.#read(name);
    }
  }

  /** All, oldest first: {key, conversation, text, reply_to?, attachments?, created_at, sequence, failure?}. `failure` is what the server said. */
  entries() {
    return [...this.#entries.values()].sort((a, b) => a.created_at - b.created_at || a.sequence - b.sequence);
  }

  /** The next entry to send in a conversation, if any: one that was refused waits for its user. */
  next(conversation) {
    return this.entries().find((entry) => entry.conversation === conversation && !entry.failure);
  }

  /** Conversations with something to send. */
  conversations() {
    return new Set(this.entries().filter((entry) => !entry.failure).map((entry) => entry.conversation));
  }

  /** Keep a message. False when too many wait already. */
  add({ key, conversation, text, replyTo, attachments, createdAt }) {
    if (this.#entries.size >= MOST_WAITING) return false;
    const sequence = 1 + Math.max(0, ...this.entries().map((entry) => entry.sequence));
    const rest = { reply_to: replyTo, attachments: attachments?.length ? attachments : undefined };
    this.#write({ key, conversation, text, ...rest, created_at: createdAt, sequence });
    return true;
  }

  /** The server has it, or its user does not want it any more. */
  remove(key) {
    this.#entries.delete(key);
    this.#storage.removeItem(this.#prefix + key);
  }

  /** The server refused it for good, unless its user says otherwise. */
  fail(key, failure) {
    const entry = this.#entries.get(key);
    if (entry) this.#write({ ...entry, failure });
  }

  /** Try one again that was refused. */
  retry(key) {
    const { failure, ...entry } = this.#entries.get(key) ?? {};
    if (failure) this.#write(entry);
  }

  /** Another tab changed the storage: `name` and `value` as in the browser's event. True when it concerns us. */
  changedElsewhere(name, value) {
    if (!name?.startsWith(this.#prefix)) return false;
    if (value === null) this.#entries.delete(name.slice(this.#prefix.length));
    else this.#read(name);
    return true;
  }

  #write(entry) {
    this.#entries.set(entry.key, entry);
    try {
      this.#storage.setItem(this.#prefix + entry.key, JSON.stringify(entry));
    } catch {
      // Storage is full or forbidden: the message then lives as long as the page does.
    }
  }

  #read(name) {
    try {
      const entry = JSON.parse(this.#storage.getItem(name));
      if (typeof entry.text === "string" && typeof entry.conversation === "string") this.#entries.set(entry.key, entry);
    } catch {
      // Not ours, whatever it is.
    }
  }
}
