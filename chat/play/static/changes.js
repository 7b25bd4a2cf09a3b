// What the later entries of a log do to the messages before them. Pure: every function gives a new state or message.

/** What is left of a message that was deleted. */
export function tombstone({ id, conversation, offset, n, sender, created_at, thread, idempotency_key }, at) {
  return { id, conversation, offset, n, sender, created_at, thread, idempotency_key, text: "", deleted_at: at };
}

/** What an event about the message `event.target` makes of it: a function of the message; null for other events. */
export function changeOf(event) {
  switch (event.type) {
    case "message.edited":
      return (message) => ({ ...message, ...edited(event.message) });
    case "message.deleted":
      return (message) => tombstone(message, event.at);
    case "reaction.changed":
      return (message) => ({ ...message, reactions: event.reactions });
    case "message.pinned":
      return (message) => ({ ...message, pinned_at: event.at });
    case "message.unpinned":
      return ({ pinned_at: _, ...message }) => message;
    case "thread.changed":
      return (message) => ({ ...message, thread: event.thread });
    default:
      return null;
  }
}

/** An edit may take fields away: what is empty is left out on the wire. */
const edited = (message) => ({ content: undefined, attachments: undefined, mentions: undefined, ...message });

/** The pins of a conversation after an event: last pinned last. */
export function pinsAfter(pins, event) {
  const others = pins.filter((offset) => offset !== event.target);
  if (event.type === "message.pinned") return [...others, event.target];
  return event.type === "message.unpinned" || event.type === "message.deleted" ? others : pins;
}
