// The replies below a message: a conversation of its own, which may not exist before the first of them.

import { rootOf, withConversation, withSubscribed } from "./store.js";

export class Threads {
  #store;
  #read;
  #live; // conversation → stop hearing it

  /** `read(method, params)` → result. */
  constructor({ store, read }) {
    this.#store = store;
    this.#read = read;
    this.#live = new Map();
  }

  /** Know a thread that is on screen, and hear what is said there. `follow(conversation)` → a function that ends it. */
  async open(id, follow) {
    if (!this.#live.has(id)) this.#live.set(id, follow(id));
    await Promise.all([this.#conversation(id), this.#root(id)]);
  }

  /** Threads that are not on screen are heard of in the conversations that they belong to. */
  closeAllBut(id) {
    for (const [thread, end] of this.#live) {
      if (thread === id) continue;
      end();
      this.#live.delete(thread);
    }
  }

  async #conversation(id) {
    try {
      const { conversation } = await this.#read("conversation.get", { conversation: id });
      this.#store.update((state) => withSubscribed(withConversation(state, conversation), id, {
        recovered: false, head: conversation.head, read: conversation.read,
      }));
    } catch {
      this.#store.update((state) => (state.conversations[id] ? state : withConversation(state, empty(state, id))));
    }
  }

  async #root(id) {
    if (this.#store.state.roots[id]) return;
    const [conversation, offset] = rootOf(id);
    try {
      const { message } = await this.#read("message.get", { conversation, offset });
      this.#store.update((state) => ({ ...state, roots: { ...state.roots, [id]: message } }));
    } catch {
      // The replies stand without it.
    }
  }
}

/** A thread to which nobody has replied yet. */
function empty(state, id) {
  const parent = state.conversations[rootOf(id)[0]];
  return {
    id, kind: "thread", title: "", role: parent?.role ?? "member", members_count: parent?.members_count ?? 0,
    head: { offset: 0, n: 0 }, read: { offset: 0, n: 0 }, unread: 0, activity_at: 0, created_at: 0, updated_at: 0,
    parent: rootOf(id)[0],
  };
}

