// Asks for the phones again and again, each time for what differs from the version that is known.

const AGAIN_MS = 100;
const FAILED_MS = 2_000;

export class PhonesLink {
  #fetch;
  #later;
  #visible;
  #version = "";

  /** `later(ms, action)`; `visible()` whether anybody looks. */
  constructor({ fetch, later, visible }) {
    this.#fetch = fetch;
    this.#later = later;
    this.#visible = visible;
  }

  /** `seen(phones)` when there is something new, `state(name, detail)` with `online`, `offline` or `ended`. */
  run({ seen, state }) {
    const again = (ms) => this.#later(ms, () => this.run({ seen, state }));
    if (!this.#visible()) return again(FAILED_MS);
    return this.#ask().then(
      (found) => {
        if (found.ended) return state("ended", found.ended);
        if (found.away) {
          state("offline", found.away);
          return again(FAILED_MS);
        }
        state("online", "Live");
        if (found.seen) {
          this.#version = found.seen.version;
          seen(found.seen.phones);
        }
        return again(AGAIN_MS);
      },
      () => {
        state("offline", "The server is away");
        again(FAILED_MS);
      },
    );
  }

  /** Does something with a phone. */
  async turn(phone, name) {
    await this.#fetch(`/play/phones/${encodeURIComponent(phone)}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ switch: name }),
    });
  }

  async #ask() {
    const response = await this.#fetch(`/play/phones/seen?version=${encodeURIComponent(this.#version)}`);
    if (response.status === 204) return {};
    if (response.ok) return { seen: await response.json() };
    const told = await response.json();
    return response.status === 404 || response.status === 403 ? { ended: told.detail } : { away: told.detail };
  }
}
