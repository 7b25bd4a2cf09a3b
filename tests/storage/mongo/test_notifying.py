"""What users want to be rung for is kept whole, and read for many at once."""

import asyncio
from dataclasses import replace

from storage.model import ContentMode, Device, Notify, PushPreferences, QuietHours
from storage.mongo.client import Database
from storage.mongo.devices import Devices
from storage.mongo.notifying import Notifying

NIGHT = QuietHours(22 * 60, 7 * 60, (0, 1, 2, 3, 4))
ALL_SET = PushPreferences(ContentMode.SENDER_ONLY, Notify.MENTIONS, (NIGHT,), "Europe/Berlin", 1_790_000_000_000)


async def test_what_was_set_is_read_and_can_be_taken_back(db: Database) -> None:
    notifying = Notifying(db)
    assert await notifying.get("ada") == PushPreferences()
    assert await notifying.change("ada", lambda _: ALL_SET) == ALL_SET
    assert await notifying.of_users(["ada", "bob"]) == {"ada": ALL_SET, "bob": PushPreferences()}
    assert await notifying.change("ada", lambda _: PushPreferences()) == PushPreferences()
    assert await notifying.get("ada") == PushPreferences()


async def test_changes_at_the_same_time_are_made_one_on_top_of_the_other(db: Database) -> None:
    notifying = Notifying(db)
    await asyncio.gather(
        notifying.change("ada", lambda present: replace(present, notify=Notify.NONE)),
        notifying.change("ada", lambda present: replace(present, content=ContentMode.GENERIC)),
        Devices(db).register(Device("ada", "i", "fcm", "app", "token", "fid", 1, 1)),
    )
    assert await notifying.get("ada") == PushPreferences(ContentMode.GENERIC, Notify.NONE)
    assert len(await Devices(db).of_user("ada")) == 1
