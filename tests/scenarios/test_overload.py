"""Under overload newcomers are put off before the upgrade, and what is connected does not feel it."""

import asyncio

import aiohttp
import pytest
from centrifuge import Client, ClientState

from support.app import serve_app, test_config
from support.waiting import PATIENCE_S, eventually
from support.wire_client import wire_client


@pytest.fixture
def few(mongodb_url, database_name, redis_url, redis_prefix):
    """Takes two at once and then five a second."""
    return test_config(
        mongodb_url,
        database_name,
        redis_url,
        redis_prefix,
        admission__upgrades_per_second=5,
        admission__burst=2,
        admission__loop_lag="10s",
    )


async def come(session: aiohttp.ClientSession, url: str) -> tuple[int, str]:
    """The status of an upgrade, and its Retry-After. What was let in is closed again."""
    try:
        async with session.ws_connect(url):
            return 101, ""
    except aiohttp.WSServerHandshakeError as refused:
        return refused.status, (refused.headers or {}).get("Retry-After", "")


async def test_over_the_rate_some_wait_and_the_others_are_refused_with_a_time(few):
    async with serve_app(few) as app, aiohttp.ClientSession() as session, wire_client(app.websocket) as alice:
        await alice.connect(app.token("alice"))
        answers = await asyncio.gather(*(come(session, app.websocket) for _ in range(60)))
        refused = [int(after) for status, after in answers if status == 503]
        assert {status for status, _ in answers} == {101, 503}
        assert len(refused) > 60 - 2 - 5 * 5
        assert min(refused) >= 1
        assert max(refused) > min(refused)
        assert (await alice.call(ping={})) == {}
        assert app.running.process.stats.connections_refused["upgrade_rate"] == len(refused)
        text = await (await session.get(f"{app.http}/metrics")).text()
        assert f'hubbub_connections_refused_total{{reason="upgrade_rate"}} {len(refused)}.0' in text


async def test_who_is_refused_does_not_keep_a_socket(few):
    async with serve_app(few) as app:
        host, port = app.http.removeprefix("http://").split(":")
        upgrade = (
            f"GET /connection/websocket HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        ).encode()
        streams = [await asyncio.open_connection(host, int(port)) for _ in range(40)]
        for _, writer in streams:
            writer.write(upgrade)
        heads = await asyncio.gather(*(reader.readuntil(b"\r\n\r\n") for reader, _ in streams))
        refused = [reader for head, (reader, _) in zip(heads, streams, strict=True) if b" 503 " in head]
        assert refused
        async with asyncio.timeout(10):
            await asyncio.gather(*(reader.read() for reader in refused))  # to its end
        for _, writer in streams:
            writer.close()


async def test_while_the_connects_of_others_are_being_answered_nobody_new_comes_in(
    mongodb_url, database_name, redis_url, redis_prefix
):
    config = test_config(mongodb_url, database_name, redis_url, redis_prefix, admission__connecting=1)
    async with serve_app(config) as app, aiohttp.ClientSession() as session:
        app.running.process.stats.connecting += 1
        assert (await come(session, app.websocket))[0] == 503
        assert app.running.process.stats.connections_refused["connecting"] == 1
        app.running.process.stats.connecting -= 1
        async with wire_client(app.websocket) as alice:
            await alice.connect(app.token("alice"))
        assert app.running.process.stats.connecting == 0


async def test_over_its_memory_a_process_takes_nobody(mongodb_url, database_name, redis_url, redis_prefix):
    config = test_config(mongodb_url, database_name, redis_url, redis_prefix, admission__memory="1MiB")
    async with serve_app(config) as app, aiohttp.ClientSession() as session:
        assert (await come(session, app.websocket))[0] == 503
        assert app.running.process.stats.connections_refused["memory"] == 1


async def test_reads_are_put_off_with_a_time_and_sends_are_not(app):
    shedding = app.running.process.calls.shedding
    async with app.rest("alice") as rest, wire_client(app.websocket) as alice:
        await alice.connect(app.token("alice"))
        made = await alice.rpc("conversation.create", kind="group", members=["bob"])
        conversation = made["conversation"]["id"]

        async def refused() -> bool:
            for _ in range(100):
                shedding.lagged(1.5)
            answer = await rest.get(f"/v1/conversations/{conversation}/messages")
            return answer.status == 503 and int(answer.headers["Retry-After"]) >= 1

        await eventually(refused)
        for _ in range(100):
            shedding.lagged(1.5)
        error = (await alice.rpc("conversation.list"))["error"]
        assert error["code"] == 1000
        assert error["temporary"] is True
        sent = await alice.rpc("message.send", conversation=conversation, idempotency_key="k", text="hello")
        assert sent["message"]["offset"] > 0
        for _ in range(100):
            shedding.lagged(0.0)
        assert (await rest.get(f"/v1/conversations/{conversation}/messages")).status == 200


async def test_everybody_gets_in_at_last_with_the_backoff_of_an_sdk(few):
    """Thirty unmodified clients at once where five a second come in: the refused ones come again by themselves."""
    async with serve_app(few) as app:
        clients = [
            Client(app.websocket, token=app.token(f"u{number}"), max_reconnect_delay=2.0) for number in range(30)
        ]
        try:
            await asyncio.gather(*(client.connect() for client in clients))
            await eventually(
                lambda: all(client.state is ClientState.CONNECTED for client in clients), within_s=2 * PATIENCE_S
            )
            refused = app.running.process.stats.connections_refused
            assert refused["upgrade_rate"] + refused["loop_lag"] > 0
        finally:
            await asyncio.gather(*(client.disconnect() for client in clients))
