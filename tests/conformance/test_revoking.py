"""What the SDKs make of a token that was taken back, and of a block."""

import asyncio
from collections.abc import Callable

import cent
from cent import BlockUserRequest, RevokeTokenRequest

from conformance.harness.sdks import Sdk
from conformance.harness.server import Served
from conformance.harness.tokens import connection_token

Name = Callable[[str], str]


async def test_after_a_revocation_an_sdk_comes_back_with_another_token(
    sdks: list[Sdk], server: Served, name: Name, api: cent.AsyncClient
) -> None:
    async def revoked(sdk: Sdk) -> None:
        user = name(f"{sdk.name}-{sdk.codec}")
        given = [connection_token(user, jti=name(f"{user}-1")), connection_token(user, jti=name(f"{user}-2"))]
        asked = 0

        async def get_token() -> str:
            nonlocal asked
            asked += 1
            return given[min(asked, 2) - 1]

        async with sdk.client(server.websocket_url, user, get_token=get_token) as client:
            await client.connected()
            await api.revoke_token(RevokeTokenRequest(uid=name(f"{user}-1")))
            await client.until(lambda: len(client.of("connected")) == 2)
            assert client.of("connecting")[-1].code == 3005
            assert asked == 2
            assert not client.of("disconnected")

    await asyncio.gather(*map(revoked, sdks))


async def test_after_a_block_an_sdk_stays_away(
    sdks: list[Sdk], server: Served, name: Name, api: cent.AsyncClient
) -> None:
    async def blocked(sdk: Sdk) -> None:
        user = name(f"{sdk.name}-{sdk.codec}")
        async with sdk.client(server.websocket_url, user) as client:
            await client.connected()
            await api.block_user(BlockUserRequest(user=user))
            assert (await client.until_one("disconnected")).code == 3503
        async with sdk.client(server.websocket_url, user) as client:
            await client.connect()
            assert (await client.until_one("disconnected")).code == 3503

    await asyncio.gather(*map(blocked, sdks))
