"""How much a resume streams is the operator's to say."""

import pytest

from support.app import serve_app, test_config
from support.talking import created, group, say
from support.waiting import eventually
from support.wire_client import wire_client

TEXT = "x" * 8_000


async def _miss(app, missed: int, *conversations: str) -> None:
    """Send so many to each, until the summaries tell of them: what comes after is recovery, not live."""
    async with wire_client(app.websocket) as bob:
        await bob.connect(app.token("bob"))
        for conversation in conversations:
            for _ in range(missed):
                assert "message" in await say(bob, conversation, TEXT)

        async def told() -> bool:
            listed = await bob.rpc("conversation.list")
            return all(one["head"]["n"] == missed for one in listed["conversations"])

        await eventually(told)


@pytest.mark.parametrize(
    ("limits", "kept"),
    [
        ({"limits__recovery_max_size": "64KiB"}, 0),
        ({"limits__recovery_session_max_size": "64KiB"}, 0),
        ({"limits__recovery_max_size": "256KiB"}, 2),
        ({"limits__recovery_max_size": "128KiB", "limits__recovery_session_max_size": "160KiB"}, 1),
    ],
)
async def test_beyond_the_configured_bytes_a_session_starts_at_the_head(
    mongodb_url, database_name, redis_url, redis_prefix, limits, kept
):
    """Two conversations with 15 messages of 8 kB missed in each, about 125 kB."""
    config = test_config(mongodb_url, database_name, redis_url, redis_prefix, **limits)
    async with serve_app(config) as app:
        async with wire_client(app.websocket) as alice:
            await alice.connect(app.token("alice"))
            both = [await group(alice, "bob"), await group(alice, "bob")]
        await _miss(app, 15, *both)
        subs = {f"conv:{one}": {"recover": True, "epoch": "", "offset": 1} for one in both}
        async with wire_client(app.websocket) as alice:
            await alice.connect(app.token("alice"), subs=subs)

            def settled() -> bool:
                return all(
                    len(created(alice, one)) == 15
                    or any("subscribe" in push and push["channel"] == f"conv:{one}" for push in alice.pushes)
                    for one in both
                )

            await alice.until(settled)
            assert sum(len(created(alice, one)) == 15 for one in both) == kept
