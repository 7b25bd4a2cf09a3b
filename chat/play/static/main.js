// Starts the page: who one is comes from the address, everything else from the server.

import { Rest, Tokens } from "./api.js";
import { App } from "./app.js";
import { connect } from "./link.js";
import { Outbox } from "./outbox.js";
import { initial, Store } from "./store.js";
import { timeFormats } from "./time.js";
import { ComposerView } from "./view-composer.js";
import { DialogView } from "./view-dialog.js";
import { HeaderView, welcome } from "./view-header.js";
import { ListView } from "./view-list.js";
import { MenuView } from "./view-menu.js";
import { SearchView } from "./view-search.js";
import { SheetView } from "./view-sheet.js";
import { ThreadView } from "./view-thread.js";
import { listItems, unreadTotal } from "./select.js";

const TICK_MS = 30_000;

const users = JSON.parse(document.querySelector("meta[name=demo-users]").content);
const me = users.find((user) => user.id === new URLSearchParams(location.search).get("as"));

if (me) play(me);
else welcome(users, new URLSearchParams(location.search).get("as"));

function play(user) {
  const now = () => Date.now();
  const times = timeFormats();
  const later = (ms, action) => setTimeout(action, ms);
  const fetching = (...args) => fetch(...args);
  const store = new Store(
    { ...initial(user.id), users: Object.fromEntries(users.map((each) => [each.id, each])) },
    { listener: () => draw(), schedule: (action) => frame(action) },
  );
  const tokens = new Tokens({ fetch: fetching, user: user.id, now });
  const app = new App({
    store, now, later,
    outbox: new Outbox(localStorage, user.id),
    rest: new Rest({ fetch: fetching, tokens }),
    newKey: () => newKey(),
    announce: (text) => {
      document.getElementById("announcer").textContent = text;
    },
    failed: (error) => sheet.failed(error),
  });

  const header = new HeaderView(app, { users, user });
  const list = new ListView(app, { times, now });
  const sheet = new SheetView(app);
  const menu = new MenuView(app, { sheet });
  const thread = new ThreadView(app, { times, now, menu });
  const search = new SearchView(app, { times, later });
  const composer = new ComposerView(app, { drafts: sessionStorage });
  const dialog = new DialogView(app, { users, newKey });
  document.getElementById("new").addEventListener("click", () => dialog.open());

  let typingTimer;
  let greeted = false;
  function draw() {
    const { state } = store;
    if (!greeted && state.list.loaded) {
      greeted = true;
      beginSomewhere(state);
    }
    const shown = state.open && (!state.list.loaded || state.conversations[state.open]);
    document.body.dataset.view = shown ? "conversation" : "list";
    const unread = unreadTotal(state);
    document.title = `${unread ? `(${unread}) ` : ""}${user.name} · Hubbub`;
    header.draw(state);
    list.draw(state);
    thread.draw(state);
    composer.draw(state);
    search.draw(state);
    showAgain(state);
  }

  /** What somebody typed ends by itself: draw when it does. */
  function showAgain(state) {
    clearTimeout(typingTimer);
    const ends = Object.values(state.typing).flatMap(Object.values).filter((until) => until > now());
    if (ends.length) typingTimer = setTimeout(draw, Math.min(...ends) - now() + 20);
  }

  /** Where there is room for both, the list and an empty half make a poor start: show the latest conversation. */
  function beginSomewhere(state) {
    const [latest] = listItems(state, now(), times);
    if (state.open || !latest || !matchMedia("(min-width: 761px)").matches) return;
    history.replaceState(null, "", `#${latest.id}`);
    app.open(latest.id);
  }

  const fromAddress = () => app.open(decodeURIComponent(location.hash.slice(1)) || null);
  addEventListener("hashchange", fromAddress);
  addEventListener("storage", (event) => app.storageChanged(event.key, event.newValue));
  document.addEventListener("visibilitychange", () => app.watched(document.hidden));
  setInterval(draw, TICK_MS);
  fromAddress();
  app.start((on) => connect({ url: socketUrl(), tokens, on }), (ms, action) => setInterval(action, ms));
  draw();
}

/** The next frame, or soon when the page is not drawn: a title with an unread count is for those who look elsewhere. */
function frame(action) {
  if (document.hidden) setTimeout(action, 50);
  else requestAnimationFrame(action);
}

function socketUrl() {
  return `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/connection/websocket`;
}

/** An idempotency key. A phone in the same network has no HTTPS, and so no `crypto.randomUUID`. */
function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
