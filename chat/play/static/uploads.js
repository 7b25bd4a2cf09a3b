// Files on their way: each is announced, put where the server says, and checked by it before a message may carry it.

const MOST = 10;

export class Uploads {
  #store;
  #call;
  #put;
  #newKey;

  /** `call(method, params)` → result; `put({url, method, headers}, file)` sends the bytes; `newKey()`. */
  constructor({ store, call, put, newKey }) {
    this.#store = store;
    this.#call = call;
    this.#put = put;
    this.#newKey = newKey;
  }

  /** Take files to the next message. What fails is shown with its reason. */
  add(files) {
    for (const file of [...files].slice(0, MOST - this.#store.state.attached.length)) this.#upload(file);
  }

  remove(key) {
    const gone = this.#store.state.attached.find((each) => each.key === key);
    if (gone?.url) URL.revokeObjectURL(gone.url);
    this.#change((attached) => attached.filter((each) => each.key !== key));
  }

  /** What is ready goes with a message: [{upload, name}]. They are no longer waiting. */
  take() {
    const ready = this.#store.state.attached.filter(({ state }) => state === "ready");
    for (const { url } of ready) if (url) URL.revokeObjectURL(url);
    this.#change((attached) => attached.filter((each) => !ready.includes(each)));
    return ready.map(({ upload, name }) => ({ upload, name }));
  }

  async #upload(file) {
    const key = this.#newKey();
    const url = file.type.startsWith("image/") ? URL.createObjectURL(file) : null;
    this.#change((attached) => [...attached, { key, name: file.name, url, state: "uploading", failure: "" }]);
    try {
      const { upload, put } = await this.#call("upload.create", {
        name: file.name, size_bytes: file.size, content_type: file.type || "application/octet-stream", idempotency_key: key,
      });
      if (put) await this.#put(put, file);
      await this.#call("upload.complete", { upload: upload.id });
      this.#set(key, { state: "ready", upload: upload.id });
    } catch (error) {
      this.#set(key, { state: "failed", failure: error.message ?? "" });
    }
  }

  #set(key, fields) {
    this.#change((attached) => attached.map((each) => (each.key === key ? { ...each, ...fields } : each)));
  }

  #change(change) {
    this.#store.update((state) => ({ ...state, attached: change(state.attached) }));
  }
}
