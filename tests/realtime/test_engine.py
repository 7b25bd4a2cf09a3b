"""One process of the engine, over real sockets and a real Redis."""

import pytest

from realtime.ports import Delivery
from support.engine import ListFeed, Served, SmallProduct, serve_engine
from support.waiting import eventually
from support.wire_client import wire_client


@pytest.fixture
def product() -> SmallProduct:
    return SmallProduct(ListFeed(), server_side=["log:1"])


@pytest.fixture
async def served(redis_url, redis_prefix, product):
    async with serve_engine(redis_url, redis_prefix, product) as served:
        yield served


def append(served: Served, channel: str, data: str) -> None:
    """What the product does when its log has committed something."""
    publication = served.product.feed.append(channel, data)
    served.engine.hub.publish(Delivery(channel, "pub", publication, "e"))


async def test_connect_tells_who_one_is_and_what_one_is_subscribed_to(served):
    served.product.feed.append("log:1", "1")
    async with wire_client(served.url) as alice:
        result = await alice.connect("alice")
    assert result["client"]
    assert result["ping"] == 25
    assert result["data"] == {"hello": True}
    assert result["subs"] == {"log:1": {"recoverable": True, "positioned": True, "epoch": "e", "offset": 1}}


async def test_what_the_log_commits_reaches_every_session_in_order(served):
    async with wire_client(served.url) as alice, wire_client(served.url) as bob:
        await alice.connect("alice")
        await bob.connect("bob")
        for number in range(1, 21):
            append(served, "log:1", str(number))
        for client in (alice, bob):
            await client.until(lambda client=client: len(client.offsets("log:1")) == 20)
            assert client.offsets("log:1") == list(range(1, 21))


async def test_publications_that_come_together_share_a_frame(served):
    async with wire_client(served.url) as alice:
        await alice.connect("alice")
        for number in range(5):
            append(served, "log:1", str(number))
        await alice.until(lambda: len(alice.offsets("log:1")) == 5)
        assert len(alice.frames) == 2  # the connect reply, and one frame with all five


async def test_resume_streams_what_was_missed_after_the_reply(served):
    for number in range(1, 301):
        served.product.feed.append("log:1", str(number))
    served.product.max_missed = 1000
    async with wire_client(served.url) as alice:
        result = await alice.connect("alice", subs={"log:1": {"recover": True, "epoch": "e", "offset": 7}})
        sub = result["subs"]["log:1"]
        assert (sub["was_recovering"], sub["recovered"], sub["offset"]) == (True, True, 7)
        append(served, "log:1", "301")
        await alice.until(lambda: len(alice.offsets("log:1")) == 294)
        assert alice.offsets("log:1") == list(range(8, 302))


async def test_resume_beyond_the_limit_says_so_and_sends_nothing(served):
    for number in range(1, 200):
        served.product.feed.append("log:1", str(number))
    async with wire_client(served.url) as alice:
        result = await alice.connect("alice", subs={"log:1": {"recover": True, "epoch": "e", "offset": 7}})
        sub = result["subs"]["log:1"]
        assert sub["was_recovering"] is True
        assert "recovered" not in sub
        assert sub["offset"] == 199
        append(served, "log:1", "200")
        await alice.until(lambda: alice.offsets("log:1") == [200])


async def test_a_position_of_another_epoch_is_not_recovered(served):
    served.product.feed.append("log:1", "1")
    async with wire_client(served.url) as alice:
        result = await alice.connect("alice", subs={"log:1": {"recover": True, "epoch": "old", "offset": 1}})
        assert "recovered" not in result["subs"]["log:1"]
        assert result["subs"]["log:1"]["was_recovering"] is True


async def test_what_the_bus_lost_is_read_from_the_feed(served):
    async with wire_client(served.url) as alice:
        await alice.connect("alice")
        append(served, "log:1", "1")
        served.product.feed.append("log:1", "2")  # committed elsewhere, its publication lost
        append(served, "log:1", "3")
        await alice.until(lambda: len(alice.offsets("log:1")) == 3)
        assert alice.offsets("log:1") == [1, 2, 3]


async def test_a_lost_last_message_is_found_by_comparing_heads(served):
    async with wire_client(served.url) as alice:
        await alice.connect("alice")
        served.product.feed.append("log:1", "1")
        await alice.until(lambda: alice.offsets("log:1") == [1])


async def test_repair_waits_for_a_feed_that_is_away(served):
    async with wire_client(served.url) as alice:
        await alice.connect("alice")
        served.product.feed.away = True
        served.product.feed.append("log:1", "1")
        append(served, "log:1", "2")
        served.product.feed.away = False
        await alice.until(lambda: alice.offsets("log:1") == [1, 2])


async def test_a_watched_channel_becomes_a_subscription_with_its_first_publication(served):
    served.product.watched = ["log:2"]
    async with wire_client(served.url) as alice:
        await alice.connect("alice")
        append(served, "log:2", "1")
        append(served, "log:2", "2")
        await alice.until(lambda: len(alice.offsets("log:2")) == 2)
        kinds = [next(key for key in push if key != "channel") for push in alice.pushes]
        assert kinds == ["subscribe", "pub", "pub"]
        assert alice.pushes[0]["subscribe"]["data"] == {"promoted": True}
        assert alice.offsets("log:2") == [1, 2]


async def test_client_side_over_server_side_delivers_once(served):
    served.product.feed.append("log:1", "1")
    async with wire_client(served.url) as alice:
        await alice.connect("alice")
        result = await alice.call(subscribe={"channel": "log:1"})
        assert result["offset"] == 1
        append(served, "log:1", "2")
        append(served, "log:1", "3")
        await alice.until(lambda: len(alice.offsets("log:1")) == 2)
        assert alice.offsets("log:1") == [2, 3]
        again = await alice.call(subscribe={"channel": "log:1"})
        assert again["error"]["code"] == 105


async def test_client_side_subscribe_with_since_replays_from_there(served):
    for number in range(1, 6):
        served.product.feed.append("log:1", str(number))
    async with wire_client(served.url) as alice:
        await alice.connect("alice")
        result = await alice.call(subscribe={"channel": "log:1", "recover": True, "epoch": "e", "offset": 2})
        assert (result["recovered"], result["offset"]) == (True, 2)
        await alice.until(lambda: len(alice.offsets("log:1")) == 3)
        assert alice.offsets("log:1") == [3, 4, 5]


async def test_unsubscribe_gives_a_shared_channel_back_to_the_server_side(served):
    async with wire_client(served.url) as alice:
        await alice.connect("alice")
        await alice.call(subscribe={"channel": "log:1"})
        assert await alice.call(unsubscribe={"channel": "log:1"}) == {}
        append(served, "log:1", "1")
        await alice.until(lambda: alice.offsets("log:1") == [1])


async def test_plain_channel_history_recovers_inline(served):
    async with wire_client(served.url) as alice, wire_client(served.url) as bob:
        await alice.connect("alice")
        await bob.connect("bob")
        first = await alice.call(subscribe={"channel": "kept:news", "recoverable": True})
        await alice.call(unsubscribe={"channel": "kept:news"})
        for number in range(3):
            assert await bob.call(publish={"channel": "kept:news", "data": {"n": number}}) == {}
        again = await alice.call(
            subscribe={"channel": "kept:news", "recover": True, "epoch": first["epoch"], "offset": 0}
        )
        assert again["recovered"] is True
        assert [pub["data"]["n"] for pub in again["publications"]] == [0, 1, 2]


async def test_flag_2_asks_for_error_112_instead_of_a_gap(served):
    async with wire_client(served.url) as alice:
        await alice.connect("alice")
        for number in range(12):
            await alice.call(publish={"channel": "kept:news", "data": number})
        result = await alice.call(subscribe={"channel": "kept:news", "recover": True, "offset": 1, "flag": 2})
        assert result["error"]["code"] == 112
        assert (await alice.call(subscribe={"channel": "kept:news"}))["offset"] == 12


async def test_join_leave_and_presence(served):
    async with wire_client(served.url) as alice:
        await alice.connect("alice")
        await alice.call(subscribe={"channel": "kept:room"})
        async with wire_client(served.url) as bob:
            await bob.connect("bob")
            await bob.call(subscribe={"channel": "kept:room"})
            presence = (await alice.call(presence={"channel": "kept:room"}))["presence"]
            assert sorted(info["user"] for info in presence.values()) == ["alice", "bob"]
            stats = await alice.call(presence_stats={"channel": "kept:room"})
            assert stats == {"num_clients": 2, "num_users": 2}
        await alice.until(lambda: any("leave" in push for push in alice.pushes))
        joined = [push["join"]["info"]["user"] for push in alice.pushes if "join" in push]
        assert joined == ["alice", "bob"]
        await eventually(lambda: served.redis.presence.stats("kept:room"))


async def test_errors_keep_the_connection(served):
    async with wire_client(served.url) as alice:
        await alice.connect("alice")
        assert (await alice.call(subscribe={"channel": "secret"}))["error"]["code"] == 103
        assert (await alice.rpc("nope"))["error"]["code"] == 108
        assert (await alice.rpc("away"))["error"] == {
            "code": 100,
            "message": "internal: try again",
            "temporary": True,
        }
        assert (await alice.rpc("bug"))["error"]["code"] == 100
        assert await alice.rpc("echo", x=1) == {"x": 1}


async def test_an_expired_token_is_an_error_and_a_forged_one_the_end(served):
    async with wire_client(served.url) as alice:
        assert (await alice.connect("expired"))["error"]["code"] == 109
        assert (await alice.connect("alice"))["client"]
    async with wire_client(served.url) as mallory:
        await mallory.send(connect={"token": "forged"})
        assert await mallory.closed() == 3500


async def test_the_last_session_of_a_user_is_noted(served):
    async with wire_client(served.url) as alice:
        await alice.connect("alice")
    await eventually(lambda: served.product.seen == ["alice"])
    assert served.engine.hub.sessions == {}
    assert served.engine.hub.channels == {}


async def test_shutdown_closes_with_3001(served):
    from realtime.protocol.codes import CLOSE_SHUTDOWN

    async with wire_client(served.url) as alice:
        await alice.connect("alice")
        await served.engine.endpoint.close_all(CLOSE_SHUTDOWN, over_s=0)
        assert await alice.closed() == 3001
