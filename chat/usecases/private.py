"""What is private to a user and changed since a revision, for `sync`: as much as a reply holds, in the order of the
revisions.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from storage import model
from storage.model import ids
from storage.store import Store

MAX_REMOVED: Final = 300
MAX_HIDDEN: Final = 500
MAX_BLOCKS: Final = 100


@dataclass(frozen=True, slots=True)
class Private:
    """Everything up to `revision` is in it; `complete`: that is all there is.

    `changed`: conversations in whose row something changed. `blocked` says of each user whether they are blocked now.
    """

    revision: int
    complete: bool
    changed: frozenset[str]
    removed: list[str]
    hidden: dict[str, list[int]]
    blocked: dict[str, bool]


async def changed_rows(store: Store, user: str, since: int) -> tuple[int, list[model.Member]]:
    """The present revision, and every row of the user that changed after `since`, ascending by revision."""
    members: list[model.Member] = []
    while True:
        changes = await store.inbox.changes(user, since)
        members += changes.members
        if changes.complete or changes.revision <= since:
            return changes.revision, members
        since = changes.revision


async def private_since(store: Store, user: str, since: int) -> Private:
    """What changed after `since`; of somebody who comes with nothing (0), whom they block. Raises StorageError.

    The counter is read before the rest: what it counted is committed, so nothing up to it is missed.
    """
    present, members = await changed_rows(store, user, since)
    removed, upto = _removed(members if since else [], present)
    hidden = {}
    if since:
        found = await store.hidden.since(user, since, limit=MAX_HIDDEN)
        hidden = dict(found.offsets)
        upto = upto if found.complete else min(upto, max(since, found.revision))
    blocks = await store.blocks.changes(user, since, limit=MAX_BLOCKS + 1)
    if len(blocks) > MAX_BLOCKS:
        # Each has a revision of its own.
        blocks = blocks[:MAX_BLOCKS]
        upto = min(upto, blocks[-1].revision)
    return Private(
        revision=upto,
        complete=upto >= present,
        changed=frozenset(member.conversation for member in members),
        removed=removed,
        hidden=hidden,
        blocked={block.blocked: block.ended_at is None for block in blocks if since or block.ended_at is None},
    )


async def unreadable(store: Store, user: str, conversations: Collection[str]) -> list[str]:
    """Those of these that the user may not read, or that are not there."""
    places = {conversation: (ids.thread_root(conversation) or (conversation, 0))[0] for conversation in conversations}
    live = await store.members.live_among(user, set(places.values())) if places else set()
    return [conversation for conversation, place in places.items() if place not in live]


def _removed(members: Sequence[model.Member], present: int) -> tuple[list[str], int]:
    """Ended memberships that fit, and up to which revision these are all."""
    ended = [member for member in members if not member.live]
    if len(ended) <= MAX_REMOVED:
        return [member.conversation for member in ended], present
    # Rows of one revision stay together.
    cut = ended[MAX_REMOVED].revision
    kept = [member for member in ended[:MAX_REMOVED] if member.revision < cut]
    return [member.conversation for member in kept], cut - 1
