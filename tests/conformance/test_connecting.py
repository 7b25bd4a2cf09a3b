"""Connections and their tokens: how they begin, go on and end, as the SDKs see it."""

import asyncio
from collections.abc import Callable

import cent
from cent import Disconnect, DisconnectRequest, RefreshRequest

from conformance.harness.clients import WITHIN_S
from conformance.harness.relay import Relay
from conformance.harness.sdks import Sdk
from conformance.harness.server import Served
from conformance.harness.tokens import connection_token
from support.wire_client import wire_client

Name = Callable[[str], str]
SHORT_S = 4
"""As long as a busy machine may take to connect, and not longer: tests wait for it."""

FOR_GOOD = "disconnected"
"""The event of a connection that its SDK does not try again."""


class Tokens:
    """An application's token endpoint: gives out what it was made with, then the last one again and again."""

    def __init__(self, *given: str) -> None:
        self._given = given
        self.asked = 0

    async def __call__(self) -> str:
        self.asked += 1
        return self._given[min(self.asked, len(self._given)) - 1]


async def test_a_connection_is_greeted_with_limits_and_the_channel_of_its_user(
    sdk: Sdk, server: Served, name: Name
) -> None:
    async with sdk.client(server.websocket_url, name("ada")) as ada:
        hello = await ada.connected()
        assert hello.client
        assert hello.data["limits"]["frame_bytes"] == 1024 * 1024
        own = await ada.until_one("subscribed", side="server")
        assert own.channel == f"user:{name('ada')}"
        found = (await ada.rpc("user.get", user=name("ada")))["user"]
        assert (found["id"], found["name"]) == (name("ada"), "")


async def test_an_expired_token_is_fetched_anew(sdk: Sdk, server: Served, name: Name) -> None:
    tokens = Tokens(connection_token(name("ada"), ttl_s=-10), connection_token(name("ada")))
    async with sdk.client(server.websocket_url, name("ada"), get_token=tokens) as ada:
        await ada.connected()
        assert tokens.asked == 2
        assert not ada.of(FOR_GOOD)


async def test_a_token_that_was_never_good_is_the_end(sdk: Sdk, server: Served, name: Name) -> None:
    async with sdk.client(server.websocket_url, name("ada"), get_token=Tokens("not.a.token")) as ada:
        await ada.connect()
        ended = await ada.until_one(FOR_GOOD)
        assert ended.code == 3500
        assert "invalid token" in ended.reason


async def test_a_connection_outlives_its_first_token(sdks: list[Sdk], server: Served, name: Name) -> None:
    async def connected(sdk: Sdk) -> None:
        user = name(f"{sdk.name}-{sdk.codec}")
        tokens = Tokens(connection_token(user, ttl_s=SHORT_S), connection_token(user))
        async with (
            sdk.client(server.websocket_url, user, get_token=tokens) as client,
            wire_client(server.websocket_url) as careless,
        ):
            await client.connected()
            assert (await careless.connect(connection_token(user, ttl_s=SHORT_S)))["expires"] is True
            # Without a refresh it is closed once the grace is over, which tells us when to look.
            assert await careless.closed(within_s=WITHIN_S) == 3005
            assert tokens.asked == 2
            assert len(client.of("connecting")) == 1
            assert (await client.rpc("user.get", user=user))["user"]["id"] == user

    await asyncio.gather(*map(connected, sdks))


async def test_a_refresh_with_an_expired_token_comes_back_with_a_good_one(
    sdks: list[Sdk], server: Served, name: Name
) -> None:
    async def refreshed(sdk: Sdk) -> None:
        user = name(f"{sdk.name}-{sdk.codec}")
        first, second = connection_token(user, ttl_s=SHORT_S), connection_token(user, ttl_s=-10)
        tokens = Tokens(first, second, connection_token(user))
        async with sdk.client(server.websocket_url, user, get_token=tokens) as client:
            await client.connected()
            await client.until(lambda: len(client.of("connected")) == 2)
            assert client.of("connecting")[-1].code == 3005
            assert tokens.asked == 3

    await asyncio.gather(*map(refreshed, sdks))


async def test_a_refresh_with_another_users_token_is_the_end(sdks: list[Sdk], server: Served, name: Name) -> None:
    async def refreshed(sdk: Sdk) -> None:
        user = name(f"{sdk.name}-{sdk.codec}")
        tokens = Tokens(connection_token(user, ttl_s=SHORT_S), connection_token(name("mallory")))
        async with sdk.client(server.websocket_url, user, get_token=tokens) as client:
            await client.connected()
            ended = await client.until_one(FOR_GOOD)
            assert ended.code == 3500
            assert "another user" in ended.reason

    await asyncio.gather(*map(refreshed, sdks))


async def test_a_dropped_socket_comes_back(sdk: Sdk, relay: Relay, name: Name) -> None:
    async with sdk.client(relay.url, name("ada")) as ada:
        await ada.connected()
        relay.cut()
        await ada.until(lambda: len(ada.of("connected")) == 2)
        assert relay.passed == 2
        assert not ada.of(FOR_GOOD)


async def test_the_application_ends_a_connection_for_good(
    sdk: Sdk, server: Served, name: Name, api: cent.AsyncClient
) -> None:
    async with sdk.client(server.websocket_url, name("ada")) as ada:
        await ada.connected()
        await api.disconnect(DisconnectRequest(user=name("ada")))
        ended = await ada.until_one(FOR_GOOD)
        assert ended.code == 3503
        assert ended.reason


async def test_the_application_chooses_code_and_reason(
    sdk: Sdk, server: Served, name: Name, api: cent.AsyncClient
) -> None:
    async with sdk.client(server.websocket_url, name("ada")) as ada:
        await ada.connected()
        await api.disconnect(DisconnectRequest(user=name("ada"), disconnect=Disconnect(code=4100, reason="come back")))
        await ada.until(lambda: len(ada.of("connected")) == 2)
        again = ada.of("connecting")[-1]
        assert (again.code, again.reason) == (4100, "come back")
        await api.disconnect(DisconnectRequest(user=name("ada"), disconnect=Disconnect(code=4501, reason="go away")))
        ended = await ada.until_one(FOR_GOOD)
        assert (ended.code, ended.reason) == (4501, "go away")


async def test_only_the_connections_that_are_meant_end(
    sdk: Sdk, server: Served, name: Name, api: cent.AsyncClient
) -> None:
    async with (
        sdk.client(server.websocket_url, name("ada")) as phone,
        sdk.client(server.websocket_url, name("ada")) as laptop,
        sdk.client(server.websocket_url, name("ada")) as tablet,
    ):
        kept = await phone.connected()
        meant = await laptop.connected()
        await tablet.connected()
        await api.disconnect(DisconnectRequest(user=name("ada"), client=meant.client))
        await laptop.until_one(FOR_GOOD)
        await api.disconnect(DisconnectRequest(user=name("ada"), whitelist=[kept.client]))
        await tablet.until_one(FOR_GOOD)
        assert await phone.rpc("presence.get", users=[name("ada")])
        assert not phone.of(FOR_GOOD)


async def test_the_application_expires_a_connection(
    sdk: Sdk, server: Served, name: Name, api: cent.AsyncClient
) -> None:
    async with sdk.client(server.websocket_url, name("ada")) as ada:
        await ada.connected()
        await api.refresh(RefreshRequest(user=name("ada"), expired=True))
        await ada.until(lambda: len(ada.of("connected")) == 2)
        assert ada.of("connecting")[-1].code == 3005


async def test_commands_of_one_connection_are_answered_each_to_its_own(sdk: Sdk, server: Served, name: Name) -> None:
    users = [name(f"user{number}") for number in range(50)]
    async with sdk.client(server.websocket_url, name("ada")) as ada:
        await ada.connected()
        await asyncio.gather(*(ada.rpc("conversation.create", kind="direct", members=[user]) for user in users))
        answers = await asyncio.gather(*(ada.rpc("user.get", user=user) for user in users))
        assert [answer["user"]["id"] for answer in answers] == users
