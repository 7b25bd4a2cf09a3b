// What several tests need: messages, pages, storage, and a state with a conversation in it.

import { initial, withConversation } from "../../../../chat/play/static/store.js";

export const CONVERSATION = "a".repeat(26);
export const OTHER = "b".repeat(26);

export function message(offset, { sender = "bob", at = 1_000_000 + offset * 1_000, ...rest } = {}) {
  return {
    id: `${CONVERSATION}.${offset}`, conversation: CONVERSATION, offset, n: offset, sender,
    text: `message ${offset}`, created_at: at, ...rest,
  };
}

export const run = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => message(from + i));

/** A page as REST answers it. */
export function page(items, { before = false, after = false, oldest, newest } = {}) {
  return {
    items,
    page: {
      has_before: before, has_after: after,
      oldest: oldest ?? items[0]?.offset ?? 0, newest: newest ?? items.at(-1)?.offset ?? 0,
    },
  };
}

export const offsets = (log) => log.messages.map(({ offset }) => offset);

export function conversation(id = CONVERSATION, more = {}) {
  return {
    id, kind: "direct", title: "", role: "member", members_count: 2, peer: { id: "bob", name: "Bob" },
    head: { offset: 10, n: 10 }, read: { offset: 8, n: 8 }, unread: 2, activity_at: 1_000, created_at: 0, updated_at: 0,
    last_message: { offset: 10, sender: "bob", text: "hello", created_at: 1_000 }, ...more,
  };
}

export function stateWith(...conversations) {
  return conversations.reduce(withConversation, initial("alice"));
}

/** Like localStorage. `shared` is what two tabs see. */
export class FakeStorage {
  constructor(shared = new Map()) {
    this.shared = shared;
  }

  get length() {
    return this.shared.size;
  }

  key(i) {
    return [...this.shared.keys()][i];
  }

  getItem(name) {
    return this.shared.get(name) ?? null;
  }

  setItem(name, value) {
    this.shared.set(name, value);
  }

  removeItem(name) {
    this.shared.delete(name);
  }
}

/** Numbers that look random and are the same in every run. */
export function randoms(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Let everything that waits for nothing but other promises go on. */
export async function settled() {
  for (let i = 0; i < 50; i++) await Promise.resolve();
}
