// Tokens and REST: what the page asks over HTTP.

/** A token is renewed this long before it expires. */
const EARLY_MS = 15_000;
const TIMEOUT_MS = 10_000;

/** An HTTP answer that is an error. `code` is the slug; `status` 0 means that the server was not reached. */
export class Problem extends Error {
  constructor(status, { code = "", detail = "", errors = [] } = {}) {
    super(detail || errors[0]?.detail || `The server answered ${status}`);
    this.status = status;
    this.code = code;
  }
}

/** The demo user's token, fetched when there is none or it is about to expire; askers at the same time share one. */
export class Tokens {
  #fetch;
  #user;
  #now;
  #token = null;
  #asking = null;

  constructor({ fetch, user, now }) {
    this.#fetch = fetch;
    this.#user = user;
    this.#now = now;
  }

  /** Throws Problem: 404 when this is no demo user (any more). */
  async get({ fresh = false } = {}) {
    if (!fresh && this.#token && expiresAt(this.#token) - EARLY_MS > this.#now()) return this.#token;
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = null;
    });
    return this.#asking;
  }

  async #ask() {
    const { token } = await answered(this.#fetch, "/play/token", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ as: this.#user }),
    });
    this.#token = token;
    return token;
  }
}

/** REST with the user's token. */
export class Rest {
  #fetch;
  #tokens;

  constructor({ fetch, tokens }) {
    this.#fetch = fetch;
    this.#tokens = tokens;
  }

  /** A page of messages: `where` is {before} or {after} an offset, or empty for the newest. */
  messages(conversation, where, limit) {
    const query = new URLSearchParams({ ...where, limit });
    return this.#get(`/v1/conversations/${encodeURIComponent(conversation)}/messages?${query}`);
  }

  /** Where an uploaded file can be fetched for a while. */
  upload(id) {
    return this.#get(`/v1/uploads/${encodeURIComponent(id)}`);
  }

  /** Send a file where the server said. Throws Problem. */
  async put({ url, method, headers }, file) {
    let response;
    try {
      response = await this.#fetch(url, { method, headers, body: file });
    } catch (error) {
      throw new Problem(0, { detail: "The file could not be sent", code: error.name });
    }
    if (!response.ok) throw new Problem(response.status, await response.json().catch(() => ({})));
  }

  async #get(path) {
    try {
      return await this.#try(path, await this.#tokens.get());
    } catch (error) {
      if (error.status !== 401) throw error;
      return this.#try(path, await this.#tokens.get({ fresh: true }));
    }
  }

  #try(path, token) {
    return answered(this.#fetch, path, { headers: { Authorization: `Bearer ${token}` } });
  }
}

/** When a JWT expires, in ms; 0 when it does not say. */
export function expiresAt(token) {
  try {
    const claims = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    return (JSON.parse(atob(claims)).exp ?? 0) * 1000;
  } catch {
    return 0;
  }
}

async function answered(fetch, path, options) {
  let response;
  try {
    response = await fetch(path, { ...options, signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch (error) {
    throw new Problem(0, { detail: "The server cannot be reached", code: error.name });
  }
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Problem(response.status, body);
  return body;
}
