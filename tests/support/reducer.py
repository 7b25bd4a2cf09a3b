"""What a client makes of what it hears: a conversation as a client keeps it, brought up to date event by event.

Written once, as a client would, in terms of what goes over the wire: events and objects are dicts as JSON has them.
The promise behind it: an old snapshot and the events after it give the same as a fresh snapshot.
"""

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

_STAYS = ("id", "conversation", "offset", "n", "sender", "created_at", "idempotency_key", "thread")
"""What is kept of a message that is deleted for all."""

_DETAILS = ("title", "avatar_url", "description", "custom", "settings", "oldest")
PREVIEW = 100


class Gap(Exception):
    """An event that does not follow the one before: the client has to read what is in between."""


@dataclass
class View:
    """A conversation as a client has it, complete up to `offset`. `messages` by offset, as far as it has them."""

    offset: int = 0
    n: int = 0
    messages: dict[int, dict[str, Any]] = field(default_factory=dict)
    pins: list[int] = field(default_factory=list)
    members: dict[str, dict[str, Any]] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    last_message: dict[str, Any] | None = None

    def copy(self) -> "View":
        return copy.deepcopy(self)


def snapshot(
    conversation: Mapping[str, Any],
    messages: Iterable[Mapping[str, Any]],
    members: Iterable[Mapping[str, Any]] = (),
) -> View:
    """A view from what was read: the conversation's object, its messages and its members, all at rest."""
    return View(
        offset=conversation["head"]["offset"],
        n=conversation["head"]["n"],
        messages={message["offset"]: dict(message) for message in messages},
        pins=list(conversation.get("pins", ())),
        members={member["user"]: _member(member) for member in members},
        details=_details(conversation),
        last_message=conversation.get("last_message"),
    )


def apply(view: View, event: Mapping[str, Any]) -> bool:
    """Take one event in. False: the view had it already. Raises Gap.

    Events without an offset move nothing that is kept here.
    """
    offset = event.get("offset")
    if offset is None or offset <= view.offset:
        return False
    if offset != view.offset + 1:
        raise Gap(f"{offset} after {view.offset}")
    _HANDLERS[event["type"]](view, event)
    view.offset = offset
    return True


def replay(view: View, events: Iterable[Mapping[str, Any]]) -> View:
    """The view with all these events taken in; the given one stays as it is."""
    view = view.copy()
    for event in events:
        apply(view, event)
    return view


def _created(view: View, event: Mapping[str, Any]) -> None:
    message = dict(event["message"])
    view.messages[event["offset"]] = message
    view.n = message["n"]
    _show(view, message)


def _edited(view: View, event: Mapping[str, Any]) -> None:
    if event["target"] in view.messages:
        view.messages[event["target"]] = dict(event["message"])
    _show(view, event["message"])


def _deleted(view: View, event: Mapping[str, Any]) -> None:
    target = event["target"]
    _unpin(view, target)
    message = view.messages.get(target)
    if message is not None:
        kept = {name: message[name] for name in _STAYS if name in message}
        view.messages[target] = {**kept, "text": "", "deleted_at": event["at"]}
    if view.last_message is not None and view.last_message["offset"] == target:
        view.last_message = {**view.last_message, "text": "", "deleted_at": event["at"]}


def _reactions(view: View, event: Mapping[str, Any]) -> None:
    _set(view, event["target"], "reactions", event["reactions"])


def _thread(view: View, event: Mapping[str, Any]) -> None:
    _set(view, event["target"], "thread", event["thread"])


def _pinned(view: View, event: Mapping[str, Any]) -> None:
    _unpin(view, event["target"])  # what was read may be ahead of the head that it told
    view.pins.append(event["target"])
    _set(view, event["target"], "pinned_at", event["at"])


def _unpinned(view: View, event: Mapping[str, Any]) -> None:
    _unpin(view, event["target"])
    _set(view, event["target"], "pinned_at", None)


def _unpin(view: View, target: int) -> None:
    if target in view.pins:
        view.pins.remove(target)


def _joined(view: View, event: Mapping[str, Any]) -> None:
    view.members.update((member["user"], {"role": member["role"]}) for member in event["members"])


def _left(view: View, event: Mapping[str, Any]) -> None:
    view.members.pop(event["user"], None)


def _changed(view: View, event: Mapping[str, Any]) -> None:
    view.members[event["user"]] = _member(event)


def _updated(view: View, event: Mapping[str, Any]) -> None:
    view.details = _details({**view.details, **event})
    oldest = event.get("oldest", 1)
    view.messages = {offset: message for offset, message in view.messages.items() if offset >= oldest}
    view.pins = [offset for offset in view.pins if offset >= oldest]


_HANDLERS = {
    "message.created": _created,
    "message.edited": _edited,
    "message.deleted": _deleted,
    "reaction.changed": _reactions,
    "thread.changed": _thread,
    "message.pinned": _pinned,
    "message.unpinned": _unpinned,
    "member.joined": _joined,
    "member.left": _left,
    "member.changed": _changed,
    "conversation.updated": _updated,
}


def _set(view: View, target: int, name: str, value: Any) -> None:
    """Set a field of a message that the view has; what is empty is left out, as on the wire."""
    message = view.messages.get(target)
    if message is None:
        return
    if value:
        message[name] = value
    else:
        message.pop(name, None)


def _show(view: View, message: Mapping[str, Any]) -> None:
    """The newest message is what a list of conversations shows, unless it deletes itself."""
    if view.last_message is not None and view.last_message["offset"] > message["offset"]:
        return
    last = {name: message[name] for name in ("offset", "sender", "created_at")}
    last["text"] = "" if "expires_at" in message else message["text"][:PREVIEW]
    if "deleted_at" in message:
        last["deleted_at"] = message["deleted_at"]
    view.last_message = last


def _member(member: Mapping[str, Any]) -> dict[str, Any]:
    return {name: member[name] for name in ("role", "muted_until") if name in member}


def _details(conversation: Mapping[str, Any]) -> dict[str, Any]:
    """What is empty is left out, as on the wire."""
    return {name: conversation[name] for name in _DETAILS if conversation.get(name)}
