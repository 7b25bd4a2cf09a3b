"""Getting through to a server: credentials, access rules and TLS."""

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis.asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from structlog.testing import capture_logs

from storage.local.redis_server import RedisServer
from support.redis_bus import Heard, frozen, process, pub, subscribed
from support.waiting import eventually


async def test_a_password_opens_the_bus(server: RedisServer) -> None:
    async with redis.asyncio.from_url(server.url, protocol=2) as client:
        await client.config_set("requirepass", "secret")
    heard = Heard()
    async with process("p1", heard, f"{server.url}?password=secret&db=3") as opened:
        await subscribed(opened, "news")
        opened.bus.publish(pub("news", b"1"))
        await eventually(lambda: heard.deliveries)


@pytest.mark.parametrize("query", ["", "?password=wrong"])
async def test_a_wrong_password_keeps_the_bus_away_and_is_not_logged(server: RedisServer, query: str) -> None:
    async with redis.asyncio.from_url(server.url, protocol=2) as client:
        await client.config_set("requirepass", "secret")
    with capture_logs() as logs:
        async with process("p1", Heard(), f"{server.url}{query}") as opened:
            refusal = "WRONGPASS" if query else "NOAUTH"
            await eventually(lambda: any(refusal in str(entry.get("reason")) for entry in logs))
            assert not opened.bus.alive
            with pytest.raises(ConnectionError):
                await opened.presence.stats("room")

    assert "wrong" not in str(logs)
    reasons = [entry["reason"] for entry in logs if entry["event"] == "bus_link_away"]
    assert len(reasons) == len(set(reasons))


async def test_another_reason_to_be_away_is_told_too(server: RedisServer) -> None:
    async with redis.asyncio.from_url(server.url, protocol=2) as client:
        await client.config_set("requirepass", "secret")

    def told(event: str, reason: str) -> int:
        return sum(entry["event"] == event and reason in entry["reason"] for entry in logs)

    with capture_logs() as logs, ExitStack() as hanging:
        hanging.enter_context(frozen(server.pid))
        async with process("p1", Heard(), server.url):
            await eventually(lambda: told("bus_link_away", "Timeout") and told("bus_writer_away", "Timeout"))
            hanging.close()
            await eventually(lambda: told("bus_link_away", "NOAUTH") and told("bus_writer_away", "NOAUTH"))
    assert told("bus_link_away", "") == told("bus_writer_away", "") == 2


async def test_a_user_with_access_to_its_prefix_alone_can_do_everything(server: RedisServer) -> None:
    async with redis.asyncio.from_url(server.url, protocol=2) as client:
        rules = ("~t:*", "resetchannels", "&t:*", "+@all", "-@dangerous", "-client")
        await client.execute_command("ACL", "SETUSER", "ann", "on", ">secret", *rules)
    heard = Heard()
    async with process("p1", heard, f"{server.url}?username=ann&password=secret") as opened:
        await subscribed(opened, "news")
        opened.bus.publish(pub("news", b"1"))
        opened.presence.user_online("ann")
        assert await opened.presence.stats("room") == (0, 0)
        await eventually(lambda: heard.deliveries)
        await eventually(opened.processes.living)


async def test_a_refused_subscription_is_tried_again_and_seen(server: RedisServer) -> None:
    async with redis.asyncio.from_url(server.url, protocol=2) as client:
        rules = ("~*", "resetchannels", "&t:b:*", "+@all")
        await client.execute_command("ACL", "SETUSER", "ann", "on", ">secret", *rules)
        with capture_logs() as logs:
            async with process("p1", Heard(), f"{server.url}?username=ann&password=secret") as opened:
                await eventually(lambda: any("NOPERM" in str(entry.get("reason")) for entry in logs))
                assert not opened.bus.alive

                await client.execute_command("ACL", "SETUSER", "ann", "allchannels")
                await eventually(lambda: opened.bus.alive)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of localhost that vouches for itself, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@pytest.fixture
async def tls_port(server: RedisServer, certificate: Path) -> AsyncIterator[int]:
    """The server behind TLS on a port of localhost, as this redis-server was built without."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_unix_connection(server.socket)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(copy(reader, inner_writer))
                both.create_task(copy(inner_reader, writer))
        finally:
            writer.transport.abort()
            inner_writer.transport.abort()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()

    relaying = await asyncio.start_server(relay, "localhost", 0, ssl=context)
    async with relaying:
        yield relaying.sockets[0].getsockname()[1]


async def test_the_bus_and_the_requests_speak_tls(tls_port: int, certificate: Path) -> None:
    heard = Heard()
    async with process("p1", heard, f"rediss://localhost:{tls_port}?ssl_ca_certs={certificate}") as opened:
        await subscribed(opened, "news")
        for number in range(1_000):
            opened.bus.publish(pub("news", b"%d" % number + b" " * 1_000))
        assert await opened.presence.stats("room") == (0, 0)
        await eventually(lambda: len(heard.deliveries) == 1_000)


async def test_a_certificate_nobody_vouches_for_is_refused(tls_port: int) -> None:
    with capture_logs() as logs:
        async with process("p1", Heard(), f"rediss://localhost:{tls_port}") as opened:
            await eventually(lambda: any("CERTIFICATE_VERIFY_FAILED" in str(entry.get("reason")) for entry in logs))
            assert not opened.bus.alive


async def test_a_certificate_of_another_name_is_refused_by_the_bus_and_by_requests(
    tls_port: int, certificate: Path
) -> None:
    with capture_logs() as logs:
        url = f"rediss://127.0.0.1:{tls_port}?ssl_ca_certs={certificate}"  # it is the certificate of localhost
        async with process("p1", Heard(), url) as opened:
            await eventually(lambda: any("CERTIFICATE_VERIFY_FAILED" in str(entry.get("reason")) for entry in logs))
            assert not opened.bus.alive
            with pytest.raises(ConnectionError):
                await opened.presence.stats("room")


async def test_user_and_password_go_by_tls(server: RedisServer, tls_port: int, certificate: Path) -> None:
    async with redis.asyncio.from_url(server.url, protocol=2) as client:
        rules = ("~t:*", "resetchannels", "&t:*", "+@all")
        await client.execute_command("ACL", "SETUSER", "bea", "on", ">a secret/with:signs", *rules)
    at = f"localhost:{tls_port}?ssl_ca_certs={certificate}"
    heard = Heard()
    async with process("p1", heard, f"rediss://bea:a%20secret%2Fwith%3Asigns@{at}") as opened:
        await subscribed(opened, "news")
        opened.bus.publish(pub("news", b"1"))
        assert await opened.presence.stats("room") == (0, 0)
        await eventually(lambda: heard.deliveries)
    with capture_logs() as logs:
        async with process("p2", Heard(), f"rediss://bea:wrong@{at}") as opened:
            await eventually(lambda: any("WRONGPASS" in str(entry.get("reason")) for entry in logs))
            assert not opened.bus.alive
    assert not any("wrong@" in str(entry) or "secret" in str(entry) for entry in logs)
