"""Tokens that expire, users who are banned or removed, keys and certificates that change: F30 to F33."""

import asyncio
import datetime
import os
import secrets
import signal
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from chaos.fault import Fault, Run, Topology
from chaos.faults.looking import now, watching
from chaos.faults.someone import Someone, server_api, someone
from storage.local.children import Child
from storage.local.ports import free_port
from support.wire_client import WireClient

TOKEN_S: Final = 5
EXPIRY_GRACE_S: Final = 3.0
FAST_S: Final = 2.5
"""Told over the bus: about a second, on a busy machine."""
RECHECK_S: Final = 2.0 * 2 + 3.0
"""Without the bus: `client.access_check_interval` (2 s), a read of the database, a busy machine."""


@asynccontextmanager
async def token_expires(run: Run) -> AsyncIterator[None]:
    hub, other = run.cluster.hubs[0], run.cluster.hubs[-1]
    async with someone(run, ttl_s=TOKEN_S) as brief, someone(run) as person, brief.socket(hub) as socket:
        started = time.monotonic()
        conversation = await person.group(other, brief.name)
        last = 0.0
        sent = 0
        while socket.close_code is None and time.monotonic() - started < TOKEN_S + EXPIRY_GRACE_S + 6:
            had = len(socket.pushes)
            sent += (await person.say(other, conversation, f"k{sent}")).ok
            await asyncio.sleep(0.2)
            if len(socket.pushes) > had:
                last = time.monotonic() - started
        took_s = time.monotonic() - started
        run.note("closed after", f"{took_s:.1f} s, the token was good for {TOKEN_S} s; last delivery at {last:.1f} s")
        run.require("it is closed as expired", socket.close_code == 3005, f"{socket.close_code}")
        most = TOKEN_S + EXPIRY_GRACE_S + 2.0
        run.require("soon after its grace", TOKEN_S - 1 <= took_s <= most, f"{took_s:.1f} s, at most {most:.0f}")
        run.require("nothing is delivered after that", last <= most, f"{last:.1f} s")
        answer = await brief.rpc(other, "conversation.list")
        run.require("REST refuses the token", answer.status == 401, f"{answer.status}")
        yield


@asynccontextmanager
async def sent_away(run: Run) -> AsyncIterator[None]:
    """Banned, its tokens invalidated, removed from a conversation: with the bus, and without it."""
    redis = run.cluster.redises[0]
    await _send_away(run, FAST_S, "with the bus")
    redis.freeze()
    try:
        await asyncio.sleep(4.0)  # until every hub knows that the bus is dead
        await _send_away(run, RECHECK_S, "without the bus")
        yield
    finally:
        redis.thaw()


async def _send_away(run: Run, within_s: float, how: str) -> None:
    here, there = run.cluster.hubs[0], run.cluster.hubs[-1]
    async with someone(run) as banned, someone(run) as revoked, someone(run) as removed, someone(run) as owner:
        conversation = await owner.group(there, removed.name, banned.name)
        channel = f"conv:{conversation}"
        async with banned.socket(here) as one, revoked.socket(here) as two, removed.socket(here) as three:
            await run.until(lambda: channel in _channels(three), within_s=10, told=f"they are there ({how})")
            await _closed(
                run, one, lambda: server_api(run, there, "block_user", user=banned.name), within_s, f"a ban, {how}"
            )
            answer = await banned.rpc(here, "conversation.list")
            run.require(f"who is banned is refused by REST, {how}", answer.status in (401, 403), f"{answer.status}")
            await server_api(run, there, "unblock_user", user=banned.name)
            later = int(time.time()) + 1
            await _closed(
                run,
                two,
                lambda: server_api(run, there, "invalidate_user_tokens", user=revoked.name, issued_before=later),
                within_s,
                f"invalid tokens, {how}",
            )
            started = time.monotonic()
            gone = await owner.rpc(there, "conversation.remove_member", conversation=conversation, user=removed.name)
            run.require(f"removed, {how}", gone.ok, f"{gone.status} {gone.body}")
            await run.until(
                lambda: any(push.get("unsubscribe") for push in three.pushes if push.get("channel") == channel),
                within_s=within_s,
                told=f"who is removed is told, {how}",
            )
            run.note(f"removal took, {how}", f"{time.monotonic() - started:.1f} s")
            had = three.offsets(channel)
            await owner.say(there, conversation, f"secret-{how}")
            await asyncio.sleep(1.0)
            run.require(
                f"and gets nothing more, {how}",
                three.offsets(channel) == had,
                f"{three.offsets(channel)} after {had}",
            )


def _channels(socket: WireClient) -> set[str]:
    """What it is subscribed to, by the connect reply and by pushes."""
    found = {push["channel"] for push in socket.pushes if "subscribe" in push or "pub" in push}
    for reply in socket.replies.values():
        found |= set(reply.get("connect", {}).get("subs", {}))
    return found


async def _closed(run: Run, socket: WireClient, act: Callable[[], Awaitable[Any]], within_s: float, told: str) -> None:
    started = time.monotonic()
    await act()
    await run.until(lambda: socket.close_code is not None, within_s=within_s, told=f"{told} closes the socket")
    run.note(f"{told} took", f"{time.monotonic() - started:.1f} s, code {socket.close_code}")


def _signed(user: str, key: str, kid: str) -> str:
    claims = {"sub": user, "exp": int(time.time()) + 600, "iat": int(time.time())}
    return jwt.encode(claims, key, algorithm="HS256", headers={"kid": kid})


@asynccontextmanager
async def keys_rotate(run: Run) -> AsyncIterator[None]:
    """A second key comes, the first goes, by SIGHUP; those who came by the first have to go when it does."""
    keys = {kid: secrets.token_urlsafe(48) for kid in ("k1", "k2")}
    async with watching(run) as watch, someone(run) as person:
        since = now()
        await _configure(run, keys, "k1")
        by_first = Someone(person.name, _signed(person.name, keys["k1"], "k1"), person._session)
        await run.until(lambda: _lets_in(run, by_first, 200), within_s=10, told="the first key lets in")
        by_second = Someone(person.name, _signed(person.name, keys["k2"], "k2"), person._session)
        run.require("the second does not yet", await _lets_in(run, by_second, 401), "")
        async with by_first.socket(run.cluster.hubs[0]) as old:
            await _configure(run, keys, "k1", "k2")
            await run.until(lambda: _lets_in(run, by_second, 200), within_s=10, told="then the second lets in as well")
            run.require("and the first still does", await _lets_in(run, by_first, 200), "")
            async with by_second.socket(run.cluster.hubs[0]) as new:
                await asyncio.sleep(1.0)
                run.require("nobody is disconnected in between", old.close_code is None, f"{old.close_code}")
                await _configure(run, keys, "k2")
                started = time.monotonic()
                await run.until(
                    lambda: old.close_code is not None, within_s=10, told="the socket of the first key is closed"
                )
                took_s = time.monotonic() - started
                run.note("closed after", f"{took_s:.1f} s, code {old.close_code}")
                run.require("that of the second is not", new.close_code is None, f"{new.close_code}")
                await run.until(lambda: _lets_in(run, by_first, 401), within_s=10, told="the first lets nobody in")
        yield
        await _configure(run, keys)
        closes = watch.closes(since=since)
        run.require("nobody else is disconnected", not closes, f"{[one['code'] for one in closes]}")


async def _lets_in(run: Run, who: Someone, status: int) -> bool:
    return {(await who.rpc(hub, "conversation.list")).status for hub in run.cluster.hubs} == {status}


async def _configure(run: Run, keys: dict[str, str], *kids: str) -> None:
    """Let these keys be in the configuration of every hub, and tell it."""
    cluster: Any = run.cluster
    listed = ", ".join(f'{{kid = "{kid}", algorithm = "HS256", key = "{keys[kid]}"}}' for kid in kids)
    for hub in run.cluster.hubs:
        path: Path = cluster.directory / f"{hub.name}.toml"
        lines = [line for line in path.read_text().splitlines() if not line.startswith("token.keys")]
        path.write_text("\n".join([*lines, *([f"token.keys = [{listed}]"] if kids else [])]) + "\n")
        os.kill(hub.pid, signal.SIGHUP)


@asynccontextmanager
async def certificate_changes(run: Run) -> AsyncIterator[None]:
    """A hub of its own speaks TLS; its certificate is replaced and it is told."""
    cluster: Any = run.cluster
    server: Any = run.cluster.hubs[0]
    directory: Path = cluster.directory
    port = free_port()
    certificate, key = directory / "tls.pem", directory / "tls.key"
    _write_certificate(certificate, key, "first.example")
    text = (directory / f"{server.name}.toml").read_text()
    kept = [line for line in text.splitlines() if not line.startswith("server.port")]
    tls = f'server.tls.certificate = "{certificate}"\nserver.tls.key = "{key}"\nserver.port = {port}\n'
    config = directory / "tls.toml"
    config.write_text("\n".join(kept) + "\n" + tls)
    argv = tuple(str(config) if word.endswith(f"{server.name}.toml") else word for word in server.command.argv)
    child = await Child.start(replace(server.command, name="tls", argv=argv, log=directory / "tls.log"))
    try:
        await run.until(lambda: _shown(port), within_s=30, told="it speaks TLS")
        run.require("with the first certificate", await _shown(port) == "first.example", "")
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        _write_certificate(certificate, key, "second.example")
        os.kill(child.pid, signal.SIGHUP)

        async def second() -> bool:
            return await _shown(port) == "second.example"

        took_s = await run.until(second, within_s=10, told="new handshakes are shown the second certificate")
        run.note("shown after", f"{took_s:.1f} s")
        writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        status = await asyncio.wait_for(reader.readline(), 5)
        run.require("the old socket lives", b"200" in status, status.decode().strip())
        writer.close()
        certificate.write_text("junk")
        os.kill(child.pid, signal.SIGHUP)
        await asyncio.sleep(1.5)
        run.require("one that cannot be used changes nothing", await _shown(port) == "second.example", "")
        run.require("and ends nothing", child.running, "")
        yield
    finally:
        await child.stop(now=True)


async def _shown(port: int) -> str:
    """The name in the certificate; empty where there is no handshake."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(3):
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    except (OSError, TimeoutError):
        return ""
    encoded = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    names = x509.load_der_x509_certificate(encoded).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value)


def _write_certificate(certificate: Path, key: Path, name: str) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    today = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=30))
        .sign(private, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    key.write_bytes(private.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    certificate.write_bytes(made.public_bytes(encoding))


FAULTS: Final = (
    Fault(
        "30",
        "a token expires",
        token_expires,
        topology=Topology(settings={"client.expired_close_delay": f"{EXPIRY_GRACE_S:g}s"}),
        lasts_s=1.0,
    ),
    Fault("31", "banned, revoked, removed", sent_away, lasts_s=1.0),
    Fault("32", "keys of tokens change", keys_rotate, lasts_s=1.0),
    Fault("33", "the certificate changes", certificate_changes, lasts_s=1.0),
)
