// Names, presence and members: asked when they are needed.

import { peopleToWatch } from "./select.js";
import { withMembers, withPresence, withUser } from "./store.js";

const MEMBERS_SHOWN = 100;

export class People {
  #store;
  #read;
  #asked = new Set();

  constructor({ store, read }) {
    this.#store = store;
    this.#read = read;
  }

  /** Have a user's profile. Asked once; `again` when it changed. */
  async know(user, { again = false } = {}) {
    if (!again && (this.#asked.has(user) || this.#store.state.users[user])) return;
    this.#asked.add(user);
    try {
      const result = await this.#read("user.get", { user });
      this.#store.update((state) => withUser(state, result.user));
    } catch {
      this.#asked.delete(user); // their id stands for them until the next time
    }
  }

  /** Who of the people on screen is online. */
  async watch() {
    const users = peopleToWatch(this.#store.state);
    if (!users.length) return;
    try {
      const { presence } = await this.#read("presence.get", { users });
      this.#store.update((state) => withPresence(state, presence));
    } catch {
      // Presence is best effort: it is asked for again soon.
    }
  }

  /** Have the members of a conversation, their names and their presence. */
  async members(conversation) {
    if (this.#store.state.members[conversation]) return;
    try {
      const { members } = await this.#read("conversation.members", { conversation, limit: MEMBERS_SHOWN });
      this.#store.update((state) => withMembers(state, conversation, members));
      await Promise.all([...members.map(({ user }) => this.know(user)), this.watch()]);
    } catch {
      // The conversation works without: asked for again when it is opened.
    }
  }
}
