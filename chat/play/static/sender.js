// Sends what waits in the outbox: each conversation in order, one message at a time, until the server has stored it.

import { isTemporary } from "./retry.js";

const FIRST_DELAY_MS = 500;
const MOST_DELAY_MS = 15_000;

export class Sender {
  #parts;
  #running = new Set();
  #delays = new Map();

  /**
   * `outbox`; `call(method, params)` → result, throws {code, message, temporary}; `online()`; `later(ms, action)`;
   * `onSent(message)`; `onChange()` after every change of the outbox.
   */
  constructor(parts) {
    this.#parts = parts;
  }

  /** Send whatever waits and can be sent now. To be called when something was added and when the connection is back. */
  flush() {
    for (const conversation of this.#parts.outbox.conversations()) this.#run(conversation);
  }

  async #run(conversation) {
    if (this.#running.has(conversation)) return;
    this.#running.add(conversation);
    try {
      while (this.#parts.online()) {
        const entry = this.#parts.outbox.next(conversation);
        if (!entry || !(await this.#send(entry))) break;
      }
    } finally {
      this.#running.delete(conversation);
    }
  }

  /** False when the others have to wait as well. */
  async #send(entry) {
    const { outbox, call, onSent, onChange } = this.#parts;
    const { conversation, key, text, reply_to, attachments } = entry;
    try {
      const { message } = await call("message.send", {
        conversation, idempotency_key: key, text, reply_to, attachments,
      });
      outbox.remove(key);
      this.#delays.delete(conversation);
      onSent(message);
      return true;
    } catch (error) {
      if (isTemporary(error)) { // not about this message: it is sent again, with the same key
        this.#again(conversation);
        return false;
      }
      outbox.fail(key, error.message);
      return true;
    } finally {
      onChange();
    }
  }

  #again(conversation) {
    if (!this.#parts.online()) return; // the next connection flushes
    const delay = this.#delays.get(conversation) ?? FIRST_DELAY_MS;
    this.#delays.set(conversation, Math.min(delay * 2, MOST_DELAY_MS));
    this.#parts.later(delay, () => this.#run(conversation));
  }
}
