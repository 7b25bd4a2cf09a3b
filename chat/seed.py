"""Demo users and conversations, so that whoever starts for the first time finds somebody to talk to."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from storage.model import Appended, ConversationKind, EntryKind, NewEntry, Role
from storage.store import Store

USERS: Final = {
    "alice": "Alice Moreau",
    "bob": "Bob Okafor",
    "carol": "Carol Lindqvist",
}

_GENERAL: Final = (
    ("alice", "Morning, everyone. This is Hubbub, running on a real MongoDB and a real Redis on your machine."),
    ("bob", "Nice. So what I write here is still here tomorrow?"),
    ("alice", "Written and journaled before it is acknowledged. Kill the server if you like, and count."),
    ("carol", "I just did. Nothing lost, nothing twice."),
    ("bob", "Open another tab as somebody else and say hello. Typing, presence and unread counts are live."),
    ("carol", "The phone SDKs work unchanged, by the way: Swift, Kotlin, Flutter, JavaScript, Python, Go."),
    ("alice", "And everything on this page is the public protocol and REST. There is no private door."),
)
_DIRECT: Final = (
    ("bob", "Are we still on for lunch?"),
    ("alice", "Yes, half past twelve at the usual place."),
    ("bob", "Perfect."),
)
_ANSWERS: Final = {3: 2}
"""Which line of the group answers which."""

_REACTIONS: Final = ((0, "bob", "👍"), (0, "carol", "👍"), (3, "alice", "❤️"))
_STEP_MS: Final = 7 * 60_000


async def seed(store: Store, clock_ms: Callable[[], int]) -> None:
    """Make the demo users, a group of all and a direct conversation with some history. Doing it again changes
    nothing.
    """
    at = clock_ms()
    for user, name in USERS.items():
        known = await store.users.get(user)
        if known is None or not known.name:
            await store.users.upsert(user, at=at, name=name)
    general = await store.conversations.create(
        kind=ConversationKind.GROUP,
        by="alice",
        members=[("alice", Role.OWNER), ("bob", Role.MEMBER), ("carol", Role.MEMBER)],
        at=at - (len(_GENERAL) + 1) * _STEP_MS,
        title="General",
        external_id="demo-general",
    )
    direct = await store.conversations.create(
        kind=ConversationKind.DIRECT,
        by="bob",
        members=[("bob", Role.MEMBER), ("alice", Role.MEMBER)],
        at=at - (len(_DIRECT) + 1) * _STEP_MS,
    )
    said = await _say(store, general.conversation.id, _GENERAL, at, _ANSWERS)
    await _say(store, direct.conversation.id, _DIRECT, at, {})
    for line, user, reaction in _REACTIONS:
        if not said[line].duplicate:  # else they may have taken it back
            await store.reactions.add(general.conversation.id, said[line].entry.offset, user, reaction, at=at)


async def _say(
    store: Store, conversation: str, lines: Sequence[tuple[str, str]], at: int, answers: Mapping[int, int]
) -> list[Appended]:
    said: list[Appended] = []
    for index, (by, text) in enumerate(lines):
        body: dict[str, Any] = {"text": text}
        if index in answers:
            body["reply_to"] = said[answers[index]].entry.offset
        new = NewEntry(
            conversation=conversation,
            kind=EntryKind.MESSAGE_CREATED,
            by=by,
            at=at - (len(lines) - index) * _STEP_MS,
            key=f"demo-{index}",
            body=body,
        )
        said.append(await store.appender.append(new))
    return said
