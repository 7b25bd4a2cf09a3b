// What one does with a message: react, edit, pin, delete. Each shows at once what the server's answer tells.

import { tombstone } from "./changes.js";
import * as logs from "./log.js";
import { logOf, withHidden, withLog, withMine } from "./store.js";

export class Actions {
  #store;
  #call;
  #newKey;

  /** `call(method, params)` → result, throws {code, message}; `newKey()` an idempotency key. */
  constructor({ store, call, newKey }) {
    this.#store = store;
    this.#call = call;
    this.#newKey = newKey;
  }

  /** Add a reaction of one's own, or take it back. Throws {message}. */
  async react({ id, conversation, offset }, reaction) {
    const mine = this.#store.state.mine[id] ?? (await this.#mine({ id, conversation, offset }));
    const method = mine[reaction] ? "message.unreact" : "message.react";
    const { reactions, own } = await this.#call(method, { conversation, offset, reaction });
    this.#own(id, own);
    this.#change(conversation, offset, (message) => ({ ...message, reactions }));
  }

  /** The reactions of one's own to a message: {reaction: true}. Asked when they are needed. */
  async #mine({ id, conversation, offset }) {
    const { own } = await this.#call("message.reactions", { conversation, offset, limit: 1 });
    this.#own(id, own);
    return this.#store.state.mine[id];
  }

  #own(id, own) {
    const mine = Object.fromEntries(own.map((reaction) => [reaction, true]));
    this.#store.update((state) => withMine(state, id, mine));
  }

  /** Give a message another text. Fails when somebody else has edited it meanwhile. Throws {message}. */
  async edit({ conversation, offset, version = 0 }, text) {
    const { message } = await this.#call("message.edit", {
      conversation, offset, text, if_version: version, idempotency_key: this.#newKey(),
    });
    this.#change(conversation, offset, () => message);
  }

  async pin({ conversation, offset, pinned_at: pinned }) {
    await this.#call(pinned ? "message.unpin" : "message.pin", { conversation, offset });
  }

  /** Delete a message for everyone. Throws {message}. */
  async remove({ conversation, offset }) {
    await this.#call("message.delete", { conversation, offset });
    this.#change(conversation, offset, (message) => (message.deleted_at ? message : tombstone(message, Date.now())));
  }

  /** Delete a message for oneself. Throws {message}. */
  async hide({ conversation, offset }) {
    await this.#call("message.delete", { conversation, offset, for: "me" });
    this.#store.update((state) => withHidden(state, conversation, [offset]));
  }

  /** Users who have read up to a message. Throws {message}. */
  async seenBy({ conversation, offset }) {
    return (await this.#call("message.seen_by", { conversation, offset })).members;
  }

  #change(conversation, offset, change) {
    if (!logs.messageAt(logOf(this.#store.state, conversation), offset)) return;
    this.#store.update((state) => withLog(state, conversation, (log) => logs.withChanged(log, offset, change)));
  }
}
