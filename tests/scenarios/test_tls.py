"""TLS on the port itself, and what SIGHUP changes while connections live on."""

import asyncio
import shutil
import signal
import ssl
import warnings

import aiohttp
import pytest

from support.certificates import Authority, Files
from support.hub_process import HubProcess, hub_process, ready_hub
from support.talking import created, group, say
from support.waiting import eventually
from support.wire_client import wire_client

OTHER_SECRET = "another-secret-of-the-tests-that-is-long-enough-for-every-hmac"


@pytest.fixture
def authority(tmp_path) -> Authority:
    return Authority(tmp_path)


async def test_sockets_and_requests_go_by_tls_with_sane_versions_and_ciphers(config, authority):
    async with (
        tls_hub(config, authority.issue("first")) as hub,
        wire_client(hub.websocket, ssl=authority.trust) as alice,
        aiohttp.ClientSession(hub.http, connector=aiohttp.TCPConnector(ssl=authority.trust)) as web,
    ):
        await alice.connect(hub.token("alice"))
        room = await group(alice, "bob")
        for number in range(20):
            await say(alice, room, f"{number}" + "x" * 3000)
        await alice.until(lambda: len(created(alice, room)) == 20)
        async with web.get("/admin/login") as answer:
            assert answer.status == 200
            assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
        assert await _plain(hub) == b""
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            cipher = await _cipher(hub, authority, version)
            assert "GCM" in cipher or "CHACHA20" in cipher
        with warnings.catch_warnings(action="ignore"), pytest.raises((ssl.SSLError, ConnectionError)):
            await _cipher(hub, authority, ssl.TLSVersion.TLSv1_1)
        hub.signal(signal.SIGINT)
        assert await alice.closed() == 3001
        assert await hub.ended() == 0


async def test_a_reader_who_does_not_read_does_not_hold_up_the_end_behind_tls_either(config, authority):
    async with tls_hub(config, authority.issue("first"), server__shutdown_timeout="15s") as hub:
        reader, writer = await asyncio.open_connection("127.0.0.1", hub.port, ssl=authority.trust, limit=1024)
        writer.write(
            b"GET /connection/websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert b"101" in await reader.readline()
        writer.transport.pause_reading()
        hub.signal(signal.SIGINT)
        assert await hub.ended() == 0
        assert not hub.said("ended_by_force")
        writer.transport.abort()


async def test_a_new_certificate_is_shown_to_new_connections_and_old_ones_live_on(config, authority):
    first, second = authority.issue("first"), authority.issue("second")
    async with tls_hub(config, first) as hub, wire_client(hub.websocket, ssl=authority.trust) as alice:
        await alice.connect(hub.token("alice"))
        room = await group(alice, "bob")
        assert await _shown(hub, authority) == "first"

        # The files themselves change: nobody has to say so. One of them alone is not used.
        shutil.copy(second.certificate, first.certificate)
        await eventually(lambda: hub.said("tls_certificate_refused"))
        assert await _shown(hub, authority) == "first"
        shutil.copy(second.key, first.key)
        await eventually(lambda: hub.said("tls_certificate_loaded"))
        assert await _shown(hub, authority) == "second"

        # Another file is named: a hangup says so.
        third = authority.issue("third")
        hub.rewrite(server__tls__certificate=str(third.certificate), server__tls__key=str(third.key))
        hub.signal(signal.SIGHUP)
        await eventually(lambda: hub.said("reloaded"))
        assert await _shown(hub, authority) == "third"

        # One that is of no use changes nothing.
        hub.rewrite(server__tls__key=str(second.certificate))
        hub.signal(signal.SIGHUP)
        refused = await eventually(lambda: hub.said("reload_refused"))
        assert "server.tls.key" in refused[0]["problems"][0]
        assert await _shown(hub, authority) == "third"

        assert "message" in await say(alice, room, "still here")
        assert alice.close_code is None


async def test_a_hangup_changes_keys_and_log_level_and_names_what_needs_a_restart(config):
    async with ready_hub(config) as hub, wire_client(hub.websocket) as alice:
        await alice.connect(hub.token("alice"))
        old = config.token.hmac_secret_key.reveal()
        hub.rewrite(
            token__hmac_secret_key=OTHER_SECRET, token__hmac_previous_secret_key=old, limits__receipts_members=7
        )
        hub.signal(signal.SIGHUP)
        reloaded = await eventually(lambda: hub.said("reloaded"))
        assert reloaded[0]["changed"] == ["token.hmac_previous_secret_key", "token.hmac_secret_key"]
        waiting = await eventually(lambda: hub.said("reload_needs_restart"))
        assert waiting[0]["keys"] == ["limits.receipts_members"]
        # During the overlap both keys are good, and nobody is disturbed.
        assert await _me(hub, hub.token("bob")) == 200
        assert "error" not in await alice.rpc("sync", limit=1)

        hub.rewrite(token__hmac_secret_key="short")
        hub.signal(signal.SIGHUP)
        await eventually(lambda: hub.said("reload_refused"))
        assert await _me(hub, hub.token("bob")) == 200
        assert OTHER_SECRET not in hub.log.read_text()

        # The old one is withdrawn: its tokens are good no more, and the sockets that they opened end.
        hub.rewrite(token__hmac_secret_key=OTHER_SECRET, token__hmac_previous_secret_key="", log__level="error")
        hub.signal(signal.SIGHUP)
        assert await alice.closed() in (3005, 3500)
        assert await _me(hub, hub.token("bob")) == 401
        assert len(hub.said("reloaded")) == 1, "info is below the new level"


@pytest.mark.parametrize(
    ("how", "says"),
    [("missing", "cannot read"), ("mismatch", "server.tls.key"), ("garbage", "server.tls.certificate")],
)
async def test_a_certificate_of_no_use_is_a_wrong_configuration(config, authority, tmp_path, how, says):
    first, second = authority.issue("first"), authority.issue("second")
    files = {
        "missing": Files(tmp_path / "none.pem", first.key, first.both),
        "mismatch": Files(first.certificate, second.key, first.both),
        "garbage": Files(tmp_path / "garbage.pem", first.key, first.both),
    }[how]
    (tmp_path / "garbage.pem").write_text("-----BEGIN CERTIFICATE-----\nno\n")
    async with hub_process(
        config, migrated=False, server__tls__certificate=str(files.certificate), server__tls__key=str(files.key)
    ) as hub:
        await hub.start()
        assert await hub.ended() == 3
        assert says in hub.log.read_text()


def tls_hub(config, files: Files, **settings: object):
    return ready_hub(
        config, server__tls__certificate=str(files.certificate), server__tls__key=str(files.key), **settings
    )


async def _me(hub: HubProcess, token: str) -> int:
    async with (
        aiohttp.ClientSession(hub.http, headers={"Authorization": f"Bearer {token}"}) as rest,
        rest.get("/v1/me") as answer,
    ):
        return answer.status


async def _shown(hub: HubProcess, authority: Authority) -> str:
    """The name on the certificate that a new connection is shown."""
    _, writer = await asyncio.open_connection("127.0.0.1", hub.port, ssl=authority.trust)
    subject = writer.get_extra_info("peercert")["subject"]
    writer.close()
    return str(dict(part[0] for part in subject)["commonName"])


async def _cipher(hub: HubProcess, authority: Authority, version: ssl.TLSVersion) -> str:
    context = authority.trust
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    _, writer = await asyncio.open_connection("127.0.0.1", hub.port, ssl=context)
    cipher = writer.get_extra_info("cipher")[0]
    writer.close()
    return str(cipher)


async def _plain(hub: HubProcess) -> bytes:
    """What somebody is answered who does not speak TLS."""
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
    writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
    try:
        answer = await reader.read()
    except ConnectionError:
        answer = b""
    writer.close()
    return b"" if answer[:1] in (b"\x15", b"") else answer
