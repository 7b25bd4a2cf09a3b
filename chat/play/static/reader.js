// Tells the server how far its user has received and read: shortly after, and until the server has heard it.

import { isTemporary } from "./retry.js";
import { withRead } from "./store.js";

const AFTER_MS = 150;
const AGAIN_MS = 2_000;
const RECEIVED_AFTER_MS = 500;

export class Reader {
  #store;
  #call;
  #later;
  #untold = new Map(); // conversation → offset
  #received = new Map(); // conversation → offset
  #scheduled = false;

  constructor({ store, call, later }) {
    this.#store = store;
    this.#call = call;
    this.#later = later;
  }

  /** Messages up to this one were on screen. The page counts them as read at once. */
  seen(conversation, { offset, n }) {
    const known = this.#store.state.conversations[conversation];
    if (!known || known.read.offset >= offset) return;
    this.#store.update((state) => withRead(state, conversation, { offset, n }));
    this.#untold.set(conversation, offset);
    this.#tellAfter(AFTER_MS);
  }

  /** Everything up to here came. That is told for others to see, and may be lost. */
  received(conversation, offset) {
    if (offset <= (this.#received.get(conversation) ?? 0)) return;
    if (!this.#received.size) {
      this.#later(RECEIVED_AFTER_MS, () => {
        for (const mark of this.#received) this.#tellReceived(...mark);
        this.#received.clear();
      });
    }
    this.#received.set(conversation, offset);
  }

  #tellReceived(conversation, offset) {
    const read = this.#store.state.conversations[conversation]?.read.offset ?? 0;
    if (read < offset) this.#call("delivered.mark", { conversation, offset }).catch(() => undefined);
  }

  /** Tell what is untold: to be called when the connection is back. */
  flush() {
    for (const [conversation, offset] of this.#untold) this.#tell(conversation, offset);
  }

  async #tell(conversation, offset) {
    try {
      await this.#call("read.mark", { conversation, offset });
    } catch (error) {
      if (isTemporary(error)) {
        if (error.temporary) this.#tellAfter(AGAIN_MS);
        return;
      }
    }
    if (this.#untold.get(conversation) === offset) this.#untold.delete(conversation);
  }

  #tellAfter(ms) {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#later(ms, () => {
      this.#scheduled = false;
      this.flush();
    });
  }
}
