// Finding words in the open conversation: pages of hits, newest first, as far back as one asks.

const HITS = 20;

/** What the page shows of a search that was just asked for. */
const asked = (conversation, text) => ({ conversation, text, items: [], next: null, busy: true, failure: "" });

export class Search {
  #store;
  #read;

  /** `read(method, params)` → result, throws {message}. */
  constructor({ store, read }) {
    this.#store = store;
    this.#read = read;
  }

  /** Show the field, without hits yet. */
  begin(conversation) {
    this.#put({ ...asked(conversation, ""), busy: false });
  }

  end() {
    this.#put(null);
  }

  /** Look for all of these words. */
  async find(conversation, text) {
    const words = text.trim();
    if (!words) {
      this.begin(conversation);
      return;
    }
    this.#put(asked(conversation, words));
    await this.#page({});
  }

  /** Look further back. */
  async more() {
    const { search } = this.#store.state;
    if (!search || search.busy || !search.next) return;
    this.#put({ ...search, busy: true, failure: "" });
    await this.#page({ from_offset: search.next });
  }

  async #page(from) {
    const { conversation, text } = this.#store.state.search;
    const current = () => {
      const { search } = this.#store.state;
      return search?.conversation === conversation && search.text === text ? search : null;
    };
    try {
      const { items, next = null } = await this.#read("history.search", { conversation, text, limit: HITS, ...from });
      const search = current();
      if (search) this.#put({ ...search, items: [...search.items, ...items], next, busy: false });
    } catch (error) {
      const search = current();
      if (search) this.#put({ ...search, busy: false, failure: error.message ?? "" });
    }
  }

  #put(search) {
    this.#store.update((state) => ({ ...state, search }));
  }
}
