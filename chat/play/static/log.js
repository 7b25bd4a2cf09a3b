// What this page has of one conversation's log. Pure: every function gives a new log.
//
// `messages` are ascending by offset, each once. Offsets of other entries (members, titles) lie between them, so a gap
// cannot be seen in the numbers. Instead `position` says "everything up to here that a live session hears was heard",
// and `missingAfter` is set from the moment the page knows of a gap until REST has filled it.

/** Messages kept of a conversation that is not on screen. */
export const KEPT_CLOSED = 200;
/** Messages kept of the one that is; scrolling back further is refused rather than growing for ever. */
export const KEPT_OPEN = 2_000;

export const EMPTY = Object.freeze({
  messages: [],
  loading: null, // which reading of the newest page is under way; what comes in meanwhile is kept
  loaded: false, // the newest page was read: messages are contiguous from the first to `position`
  position: 0,
  missingAfter: null,
  gaps: 0, // how often continuity was lost
  before: null, // where to page back from
  hasBefore: true,
});

/** A message that was just published. It moves the position: live entries come in order. */
export function withLive(log, message) {
  if (!log.loaded && log.loading === null) return log; // nobody looks; opening it reads the newest page
  return withPosition({ ...log, messages: merged(log.messages, [message]) }, message.offset);
}

/** A message known from the answer to its own send. Others may be on their way below it: the position stays. */
export function withSent(log, message) {
  if (!log.loaded) return log;
  return { ...log, messages: merged(log.messages, [message]) };
}

/** A message that we have is another one now. `change(message)` → message, the same object when nothing changed. */
export function withChanged(log, offset, change) {
  const at = indexOf(log.messages, offset);
  if (at < 0) return log;
  const changed = change(log.messages[at]);
  return changed === log.messages[at] ? log : { ...log, messages: log.messages.with(at, changed) };
}

/** Without these messages. */
export function withoutMessages(log, offsets) {
  const messages = log.messages.filter(({ offset }) => !offsets.includes(offset));
  return messages.length === log.messages.length ? log : { ...log, messages };
}

/** The message at an offset, if we have it. */
export function messageAt(log, offset) {
  return log.messages[indexOf(log.messages, offset)];
}

/** Any entry of the log was heard, a message or not. */
export function withPosition(log, offset) {
  return offset > log.position ? { ...log, position: offset } : log;
}

/** The reading of the newest page named `id` begins. */
export function withLoading(log, id) {
  return { ...log, loading: id };
}

/** The newest page. Not used when the session lost continuity after it was asked for: then it is read again. */
export function withNewest(log, id, { items, page }) {
  if (log.loading !== id) return log;
  const messages = merged(log.messages, items);
  const newest = Math.max(log.position, page.newest ?? 0, lastOffset(items));
  const oldest = Math.min(backFrom(items, page) ?? Infinity, messages[0]?.offset ?? Infinity);
  return {
    ...log, messages, loading: null, loaded: true, position: newest, missingAfter: null,
    before: oldest === Infinity ? null : oldest, hasBefore: page.has_before,
  };
}

/** A page from scrolling back. */
export function withOlder(log, { items, page }) {
  return {
    ...log,
    messages: merged(log.messages, items),
    before: backFrom(items, page) ?? log.before,
    hasBefore: page.has_before && (items.length > 0 || backFrom(items, page) !== null),
  };
}

/** A page of what was missed, asked for when there had been so many `gaps`: a later one may begin after its end. */
export function withMissed(log, gaps, { items, page }) {
  if (log.missingAfter === null) return log; // started over meanwhile
  const reached = Math.max(log.missingAfter, page.newest ?? 0, lastOffset(items));
  const more = (page.has_after && reached > log.missingAfter) || gaps !== log.gaps;
  return withPosition(
    { ...log, messages: merged(log.messages, items), missingAfter: more ? reached : null },
    reached,
  );
}

/**
 * The session is subscribed (again): what that means for what we have.
 *
 * Recovered: what was missed follows as publications. Otherwise everything between our position and the head is
 * missing. A head below our position is another history (the database was restored): start over.
 */
export function onSubscribed(log, { recovered, head }) {
  if (recovered) return log;
  if (!log.loaded || head < log.position) return EMPTY;
  if (head === log.position) return log;
  return { ...log, gaps: log.gaps + 1, missingAfter: log.missingAfter ?? log.position };
}

/** Keep the newest `most`; what was cut off can be paged back to. */
export function trimmed(log, most) {
  if (log.messages.length <= most) return log;
  const messages = log.messages.slice(-most);
  return { ...log, messages, before: messages[0].offset, hasBefore: true };
}

/** Whether scrolling back has somewhere to go. */
export function canPageBack(log) {
  return log.loaded && log.hasBefore && log.messages.length < KEPT_OPEN;
}

export function lastOffset(messages) {
  return messages.length ? messages[messages.length - 1].offset : 0;
}

/** Where the message with this offset is; -1 where it is not. */
function indexOf(messages, offset) {
  let [low, high] = [0, messages.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (messages[middle].offset < offset) low = middle + 1;
    else high = middle;
  }
  return messages[low]?.offset === offset ? low : -1;
}

function backFrom(items, page) {
  return page.oldest || items[0]?.offset || null;
}

/** Two ascending runs as one. A later copy of a message replaces the earlier one. */
function merged(old, fresh) {
  if (!fresh.length) return old;
  if (fresh[0].offset > lastOffset(old)) return [...old, ...fresh];
  const all = [];
  let i = 0;
  for (const message of fresh) {
    while (i < old.length && old[i].offset < message.offset) all.push(old[i++]);
    if (i < old.length && old[i].offset === message.offset) i++;
    all.push(message);
  }
  while (i < old.length) all.push(old[i++]);
  return all;
}
