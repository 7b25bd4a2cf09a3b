"""What is seen on phones: from a message sent on a real hub, through a real worker and the vendors, to the screen."""

from pathlib import Path

import pytest

from chat.sealing import new_key
from support.app import test_config
from support.ringing import Ringing, ringing
from support.talking import group, say
from support.waiting import eventually


@pytest.fixture
async def phones(mongodb_url, database_name, redis_url, redis_prefix, tmp_path: Path):
    config = test_config(
        mongodb_url, database_name, redis_url, redis_prefix, secrets__keys=[new_key()], push__delay="100ms"
    )
    async with ringing(config, tmp_path) as one:
        yield one


@pytest.mark.parametrize(("platform", "user"), [("ios", "alice"), ("android", "bob"), ("web", "carol")])
async def test_who_is_away_sees_one_banner_with_the_last_text_and_the_badge(
    phones: Ringing, platform: str, user: str
) -> None:
    async with phones.user("dave") as dave:
        conversation = await group(dave, user, title="Trip")
        await say(dave, conversation, "Are you there?")
        await phones.shows(platform, "Dave: Are you there?")
        handset = phones.phone(platform).handset
        assert handset.rings == 1
        await say(dave, conversation, "Hello?")
        await phones.shows(platform, "2 new messages\nDave: Hello?")
        assert (handset.rings, handset.badge if platform != "web" else 2) == (1, 2)


async def test_what_is_read_on_another_device_disappears(phones: Ringing) -> None:
    handset = phones.phone("ios").handset
    async with phones.user("dave") as dave, phones.user("alice") as alice:
        conversation = await group(dave, "alice")
        sent = await say(dave, conversation, "Hello")
        await eventually(lambda: handset.tray)
        await alice.rpc("read.mark", conversation=conversation, offset=sent["message"]["offset"])
        await eventually(lambda: not handset.tray)
        assert (handset.rings, handset.badge) == (1, 0)
