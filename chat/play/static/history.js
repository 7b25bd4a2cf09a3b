// Reads messages over REST: the newest page, older ones, and what a session missed.

import * as logs from "./log.js";
import { logOf, withActivity, withLog, withPaging } from "./store.js";

const PAGE = 50;
const MISSED_PAGE = 200;
/** Whoever missed more pages than this starts over with the newest one: the rest is paged back to. */
const MISSED_PAGES = 10;
const RETRY_MS = 2_000;

export class History {
  #store;
  #rest;
  #later;
  #reads = 0;
  #catchingUp = new Set();

  /** `rest.messages(conversation, where, limit)`; `later(ms, action)`. */
  constructor({ store, rest, later }) {
    this.#store = store;
    this.#rest = rest;
    this.#later = later;
  }

  /** Have the newest messages of a conversation. A failure is in the state, to be shown with a way to try again. */
  async open(conversation) {
    const log = this.#log(conversation);
    if (log.loaded || log.loading !== null) return;
    const id = ++this.#reads;
    this.#change(conversation, (old) => logs.withLoading(old, id));
    this.#paging(conversation, { busy: true, failure: "" });
    try {
      const page = await this.#rest.messages(conversation, {}, PAGE);
      this.#change(conversation, (old) => logs.withNewest(old, id, page));
      this.#paging(conversation, { busy: false, failure: "" });
    } catch (error) {
      if (this.#log(conversation).loading !== id) return;
      this.#change(conversation, (old) => logs.withLoading(old, null));
      this.#paging(conversation, { busy: false, failure: error.message });
      return;
    }
    if (this.#store.state.open === conversation) await this.open(conversation); // continuity was lost meanwhile
  }

  /** Have the page before the oldest message. */
  async older(conversation) {
    const log = this.#log(conversation);
    if (!logs.canPageBack(log) || this.#store.state.paging[conversation]?.busy) return;
    this.#paging(conversation, { busy: true, failure: "" });
    try {
      const page = await this.#rest.messages(conversation, { before: log.before }, PAGE);
      this.#change(conversation, (old) => (old.loaded ? logs.withOlder(old, page) : old));
      this.#paging(conversation, { busy: false, failure: "" });
    } catch (error) {
      this.#paging(conversation, { busy: false, failure: error.message });
    }
  }

  /** Fill the gap of a conversation, if it has one. Failing, it is tried again later and with the next connection. */
  async catchUp(conversation) {
    if (this.#catchingUp.has(conversation) || this.#log(conversation).missingAfter === null) return;
    this.#catchingUp.add(conversation);
    try {
      await this.#fill(conversation);
    } catch {
      this.#later(RETRY_MS, () => this.catchUp(conversation));
    } finally {
      this.#catchingUp.delete(conversation);
    }
  }

  /** All gaps. */
  catchUpAll() {
    for (const conversation of Object.keys(this.#store.state.logs)) this.catchUp(conversation);
  }

  async #fill(conversation) {
    for (let pages = 0; pages < MISSED_PAGES; pages++) {
      const { missingAfter: after, gaps } = this.#log(conversation);
      if (after === null) return;
      const page = await this.#rest.messages(conversation, { after }, MISSED_PAGE);
      this.#change(conversation, (old) => logs.withMissed(old, gaps, page));
      this.#store.update((state) => page.items.reduce(withActivity, state));
    }
    this.#change(conversation, () => logs.EMPTY);
    if (this.#store.state.open === conversation) await this.open(conversation);
  }

  #log(conversation) {
    return logOf(this.#store.state, conversation);
  }

  #change(conversation, change) {
    this.#store.update((state) => withLog(state, conversation, change));
  }

  #paging(conversation, paging) {
    this.#store.update((state) => withPaging(state, conversation, paging));
  }
}
