// Who is typing: telling the others, at most every few seconds, and forgetting what they told us.

/** Between two `typing.start`. */
const REPEAT_MS = 3_000;
/** After this much silence somebody has stopped. */
export const EXPIRES_MS = 6_000;

export class TypingOut {
  #say;
  #now;
  #conversation = null;
  #saidAt = -Infinity;

  /** `say(method, conversation)` tells the server. */
  constructor({ say, now }) {
    this.#say = say;
    this.#now = now;
  }

  /** The text of the composer changed. */
  input(conversation, text) {
    if (!text.trim()) {
      this.stop();
      return;
    }
    if (conversation !== this.#conversation) this.stop();
    if (this.#conversation && this.#now() - this.#saidAt < REPEAT_MS) return;
    this.#conversation = conversation;
    this.#saidAt = this.#now();
    this.#say("typing.start", conversation);
  }

  /** Emptied, left, or sent (then the message itself says so: `silently`). */
  stop({ silently = false } = {}) {
    if (this.#conversation && !silently) this.#say("typing.stop", this.#conversation);
    this.#conversation = null;
    this.#saidAt = -Infinity;
  }
}

/** Who types in a conversation ({user: expires_at}) after hearing of it. */
export function withTyping(typing, user, until) {
  const { [user]: _, ...others } = typing;
  return until === null ? others : { ...others, [user]: until };
}

/** Without those who fell silent. The same object when there are none. */
export function stillTyping(typing, now) {
  const entries = Object.entries(typing).filter(([, until]) => until > now);
  return entries.length === Object.keys(typing).length ? typing : Object.fromEntries(entries);
}
