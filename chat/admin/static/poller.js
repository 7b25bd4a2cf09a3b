// Asks for a list again and again while it is looked at; never two questions at once.

export class Poller {
  #timer = null;
  #abort = null;
  #ended = false;

  constructor({ everyMs, ask, onAnswer, onError }) {
    Object.assign(this, { everyMs, ask, onAnswer, onError });
  }

  // Now, whatever was asked before.
  async run() {
    clearTimeout(this.#timer);
    this.#abort?.abort();
    const abort = (this.#abort = new AbortController());
    try {
      if (!document.hidden) {
        const answer = await this.ask(abort.signal);
        if (!abort.signal.aborted) this.onAnswer(answer);
      }
    } catch (error) {
      if (!abort.signal.aborted) this.onError(error);
    }
    if (!this.#ended && !abort.signal.aborted) this.#timer = setTimeout(() => this.run(), this.everyMs);
  }

  end() {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#abort?.abort();
  }
}
