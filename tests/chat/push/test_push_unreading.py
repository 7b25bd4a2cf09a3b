"""What is unread, as notifications tell it."""

import time

from chat.push.unreading import StoredUnreads
from chat.usecases.blocks import BlockLists
from chat.usecases.unread import Unreads
from storage.store import Store
from support.conversing import AT, a_group, say


async def test_whoever_has_sent_something_has_read_what_was_before(store: Store) -> None:
    """Their position is written a second later; until then neither the texts nor the number go by it."""
    group = await a_group(store)
    await say(store, group.id, "bob", ["one", "two"])
    await say(store, group.id, "ada", ["three"])
    await say(store, group.id, "bob", ["four"])
    badge = Unreads(store, BlockLists(store, time.monotonic), lambda: AT).badge
    unread = await StoredUnreads(store, badge).of("ada", group.id)
    assert unread is not None
    assert ([one.text for one in unread.messages], unread.badge) == (["four"], 1)
    of_bob = await StoredUnreads(store, badge).of("bob", group.id)
    assert of_bob is not None
    assert ([one.text for one in of_bob.messages], of_bob.badge) == ([], 0)
