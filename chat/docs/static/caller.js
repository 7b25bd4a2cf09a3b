// Who calls, and what they have: tokens of demo users or pasted ones, and values that fill in forms.

const AT_LEAST_MS = 30_000;

export class Caller extends EventTarget {
  user = "";
  apiKey = "";
  /** What stands for parameters of these names: the user's newest conversation, a message in it. */
  known = {};
  #token = "";
  #until = 0;

  /** Sign in as a demo user. Rejects with words for the reader. */
  async demo(user) {
    await this.#fetch(user);
    this.user = user;
    await this.#look();
  }

  /** Take a token as it is. */
  async paste(token) {
    this.user = "";
    this.#token = token.trim();
    this.#until = Infinity;
    await this.#look();
  }

  /** The headers that an operation with these security schemes needs. */
  async headers(schemes) {
    if (schemes.includes("apiKey")) return this.apiKey ? { "X-API-Key": this.apiKey } : {};
    if (!schemes.includes("bearer") || !this.#token) return {};
    if (this.user && Date.now() > this.#until) await this.#fetch(this.user);
    return { Authorization: `Bearer ${this.#token}` };
  }

  async #fetch(user) {
    const answer = await fetch("/play/token", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ as: user }),
    });
    if (!answer.ok) throw new Error((await answer.json()).detail);
    const { token } = await answer.json();
    this.#token = token;
    this.#until = JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"))).exp * 1000 - AT_LEAST_MS;
  }

  /** Find something of the user's that forms can be filled in with. */
  async #look() {
    this.known = {};
    const answer = await fetch("/v1/conversations?limit=1", { headers: await this.headers(["bearer"]) });
    const body = await answer.json();
    if (!answer.ok) {
      this.#token = "";
      this.dispatchEvent(new Event("change"));
      throw new Error(body.detail);
    }
    const [newest] = body.conversations;
    if (newest) this.known = { conversation: newest.id, offset: newest.last_message?.offset ?? newest.head.offset };
    this.dispatchEvent(new Event("change"));
  }

  get signedIn() {
    return Boolean(this.#token);
  }
}
