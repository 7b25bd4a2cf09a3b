"""`cent`, unmodified, on the methods over users and tokens: names and shapes of Centrifugo PRO."""

import time
from collections.abc import Callable

import cent
import pytest
from cent import (
    BatchRequest,
    BlockUserRequest,
    CentApiResponseError,
    ConnectionsRequest,
    DeleteUserStatusRequest,
    GetUserStatusRequest,
    InvalidateUserTokensRequest,
    RevokeTokenRequest,
    UnblockUserRequest,
    UpdateUserStatusRequest,
)

from conformance.harness.server import Served
from conformance.harness.tokens import connection_token
from support.wire_client import WireClient, wire_client

Name = Callable[[str], str]


async def signed_in(client: WireClient, user: str, **claims: object) -> str:
    """The connection's id."""
    connected = await client.connect(connection_token(user, **claims), name="js", version="1.2.3")
    return str(connected["client"])


async def test_connections_tells_what_a_user_has_open(api: cent.AsyncClient, server: Served, name: Name) -> None:
    ada, now = name("ada"), int(time.time())
    async with wire_client(server.websocket_url) as phone, wire_client(server.websocket_url) as laptop:
        first = await signed_in(phone, ada, jti="t1", iat=now)
        second = await signed_in(laptop, ada)
        await phone.call(subscribe={"channel": name("room:r")})
        found = (await api.connections(ConnectionsRequest(user=ada, expression=""))).connections
        assert found.keys() == {first, second}
        one = found[first]
        assert (one.user, one.transport, one.protocol) == (ada, "websocket", "json")
        assert (one.app_name, one.app_version) == ("js", "1.2.3")
        assert one.state is not None
        assert one.state.channels is not None
        assert name("room:r") in one.state.channels
        assert one.state.connection_token is not None
        assert (one.state.connection_token.uid, one.state.connection_token.issued_at) == ("t1", now)
        everybody = (await api.connections(ConnectionsRequest(user="", expression=""))).connections
        assert everybody.keys() >= found.keys()
    nobody = await api.connections(ConnectionsRequest(user=name("nobody"), expression=""))
    assert nobody.connections == {}
    with pytest.raises(CentApiResponseError) as error:
        await api.connections(ConnectionsRequest(user=ada, expression="app_name == 'js'"))
    assert error.value.code == 108


async def test_a_status_is_kept_updated_and_deleted(api: cent.AsyncClient, server: Served, name: Name) -> None:
    ada, bob, cy = name("ada"), name("bob"), name("cy")
    began = int(time.time())
    await api.update_user_status(UpdateUserStatusRequest(users=[ada, cy]))
    async with wire_client(server.websocket_url) as client:
        await signed_in(client, bob)

        async def statuses() -> list[tuple[str, bool, bool]]:
            found = (await api.get_user_status(GetUserStatusRequest(users=[cy, bob, ada]))).statuses
            return [(one.user, one.active >= began, one.online >= began) for one in found]

        assert (await statuses())[1:] == [(bob, False, True), (ada, True, False)]
        await api.delete_user_status(DeleteUserStatusRequest(users=[ada, cy]))
        assert await statuses() == [(cy, False, False), (bob, False, True), (ada, False, False)]
    zero = (await api.get_user_status(GetUserStatusRequest(users=[name("never")]))).statuses
    assert [(one.active, one.online) for one in zero] == [(0, 0)]


async def test_a_blocked_user_is_out_until_unblocked(api: cent.AsyncClient, server: Served, name: Name) -> None:
    ada = name("ada")
    async with wire_client(server.websocket_url) as client:
        await signed_in(client, ada)
        await api.block_user(BlockUserRequest(user=ada))
        assert await client.closed() == 3503
    async with wire_client(server.websocket_url) as client:
        await client.send(connect={"token": connection_token(ada)})
        assert await client.closed() == 3503
    await api.unblock_user(UnblockUserRequest(user=ada))
    async with wire_client(server.websocket_url) as client:
        assert await signed_in(client, ada)


async def test_a_token_is_revoked_by_its_id(api: cent.AsyncClient, server: Served, name: Name) -> None:
    ada, uid = name("ada"), name("jti")
    async with wire_client(server.websocket_url) as client, wire_client(server.websocket_url) as other:
        await signed_in(client, ada, jti=uid)
        await signed_in(other, ada)
        await api.revoke_token(RevokeTokenRequest(uid=uid, expire_at=int(time.time()) + 600))
        assert await client.closed() == 3005
        assert other.close_code is None
    async with wire_client(server.websocket_url) as client:
        assert (await client.connect(connection_token(ada, jti=uid)))["error"]["code"] == 109


async def test_tokens_of_a_user_are_invalidated_by_age(api: cent.AsyncClient, server: Served, name: Name) -> None:
    ada, now = name("ada"), int(time.time())
    async with wire_client(server.websocket_url) as old, wire_client(server.websocket_url) as new:
        await signed_in(old, ada, iat=now - 60)
        await signed_in(new, ada, iat=now)
        await api.invalidate_user_tokens(InvalidateUserTokensRequest(user=ada, issued_before=now))
        assert await old.closed() == 3005
        assert new.close_code is None
    await api.invalidate_user_tokens(InvalidateUserTokensRequest(user=ada, issued_before=now + 1, channel="room:r"))


async def test_they_are_part_of_batches_and_refuse_what_makes_no_sense(api: cent.AsyncClient, name: Name) -> None:
    commands = [BlockUserRequest(user=name("x")), UnblockUserRequest(user=name("x"))]
    assert len((await api.batch(BatchRequest(requests=commands))).replies) == 2
    over = int(time.time()) - 1
    for request, refused in (
        (api.block_user, BlockUserRequest(user=name("x"), expire_at=over)),
        (api.block_user, BlockUserRequest(user="no spaces")),
        (api.revoke_token, RevokeTokenRequest(uid="")),
        (api.get_user_status, GetUserStatusRequest(users=[])),
        (api.get_user_status, GetUserStatusRequest(users=["x"] * 1001)),
    ):
        with pytest.raises(CentApiResponseError) as error:
            await request(refused)
        assert error.value.code == 107
