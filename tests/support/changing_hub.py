"""A hub process that does nothing but change messages, for tests that kill it."""

import random
import sys
from functools import partial
from itertools import count

from storage.model import EntryKind, NewEntry
from storage.model.changes import edited
from storage.store import open_store


async def change_until_killed(url: str, database: str, conversation: str) -> None:
    """Edit, pin, unpin and delete messages at offsets 2 to 6, and send new ones; a line for each that is done."""
    async with open_store(url, database) as store:
        for number in count(1):  # it is the time, too, and there is none at 0
            target = random.randint(2, 6)
            new = partial(NewEntry, conversation, by="ada", at=number, key=None, body={})
            match random.choice(["edit", "edit", "pin", "unpin", "delete", "send"]):
                case "edit":
                    entry = new(kind=EntryKind.MESSAGE_EDITED)
                    message = await store.log.get(conversation, target)
                    if message is not None and "deleted_at" not in message.body:
                        await store.rewording.edit(entry, target, partial(edited, fields={"text": f"edit {number}"}))
                case "pin":
                    message = await store.log.get(conversation, target)
                    if message is not None and "deleted_at" not in message.body:
                        await store.rewording.pin(new(kind=EntryKind.MESSAGE_PINNED), target)
                case "unpin":
                    await store.rewording.unpin(new(kind=EntryKind.MESSAGE_UNPINNED), target)
                case "delete":
                    await store.rewording.delete(new(kind=EntryKind.MESSAGE_DELETED), target)
                case _:
                    sent = NewEntry(conversation, EntryKind.MESSAGE_CREATED, "ada", number, None, {"text": "hello"})
                    await store.appender.append(sent)
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()
