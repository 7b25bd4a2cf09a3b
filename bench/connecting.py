"""What it costs to come: connects and resumes a second on one core, by part and by process; and what a token costs.

python -m bench.connecting [--quick] [--clients 2000] [--conversations 20]
"""

import asyncio
import gc
import hmac
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from pymongo import MongoClient

from bench.idle_memory import Scene, scene
from bench.machine import CpuSince
from bench.newcomers import Crowd, crowd
from bench.results import percentile
from bench.second_hub import Hub, second_hub
from bench.suite import Figure, Run, Scenario, main
from chat.auth.cache import ClaimsCache
from chat.auth.keys import KeyRing
from chat.auth.mint import connection_token, new_secret
from chat.auth.verifier import TokenVerifier, policy_of
from chat.config import Secret, TokenSection

HUB_CORE: Final = 0
CLIENTS_CORE: Final = 1
SETTLE_S: Final = 1.5
"""What is done after the reply belongs to the connect: presence, what was missed."""

KINDS: Final = {
    "upgrade": "the upgrade alone",
    "nowhere": "connect, no conversations",
    "connect": "connect",
    "again": "connect, token known",
    "resume": "resume",
    "missed": "resume, one missed in each",
}
"""What comes, in this order: from the cheapest part to the whole."""


class Queries:
    """What MongoDB was asked to find, by its own counters. The other processes ask it little."""

    def __init__(self, url: str) -> None:
        self._client: MongoClient[dict[str, Any]] = MongoClient(url)
        self._before = self._count()

    def _count(self) -> int:
        commands = self._client.admin.command("serverStatus")["metrics"]["commands"]
        return sum(int(commands[name]["total"]) for name in ("find", "aggregate"))

    def since(self) -> int:
        before, self._before = self._before, self._count()
        return self._before - before


@dataclass(frozen=True, slots=True)
class Coming:
    """Where they come to, and what is looked at meanwhile."""

    made: Scene
    hub: Hub
    clients: Crowd
    cpu: CpuSince
    queries: Queries


async def measure(run: Run) -> None:
    options = run.options
    async with scene(options.clients + options.warm, options.conversations, options.members) as made:
        queries = Queries(made.ready["mongodb_url"])
        for _ in run.rounds():
            async with (
                second_hub(made.ready, made.data, core=HUB_CORE) as hub,
                crowd("127.0.0.1", hub.port, core=CLIENTS_CORE) as clients,
            ):
                pids = {"hub": hub.pid, "clients": clients.pid}
                pids |= {name: made.ready["pids"][name] for name in ("mongod", "redis")}
                await clients.connect(made.commands(made.users[options.clients :]), at_once=8)
                await clients.close()
                coming = Coming(made, hub, clients, CpuSince(pids), queries)
                for kind, commands in commands_of(made, made.users[: options.clients]).items():
                    await come(run, coming, kind, commands)
            await tokens(run)


async def come(run: Run, coming: Coming, kind: str, commands: list[str]) -> None:
    """All of them, so many at a time."""
    await asyncio.sleep(SETTLE_S)
    coming.cpu.take()
    coming.queries.since()
    took = await coming.clients.connect(commands, at_once=run.options.at_once)
    await asyncio.sleep(SETTLE_S)
    used, asked = coming.cpu.take(), coming.queries.since()
    still = await coming.clients.close()
    count = len(commands)
    if still != count or took["refused"]:
        raise RuntimeError(f"{kind}: {still} of {count} came, {took['refused']} were refused")
    name = KINDS[kind]
    run.add(name, used["hub"].both_s / count * 1e6)
    if kind in ("connect", "resume"):
        run.add(f"{kind}s a second", count / took["seconds"])
        run.add(f"{kind}s a second of the hub's CPU", count / used["hub"].both_s)
        run.add(f"{kind}: mongod", used["mongod"].both_s / count * 1e6)
        run.add(f"{kind}: Redis", used["redis"].both_s / count * 1e6)
        run.add(f"{kind}: the clients", used["clients"].both_s / count * 1e6)
        run.add(f"{kind}: queries", asked / count)
        run.add(f"{kind}: p50", percentile(took["took"], 0.5) * 1000)
        run.add(f"{kind}: p99", percentile(took["took"], 0.99) * 1000)


def commands_of(made: Scene, users: list[str]) -> dict[str, list[str]]:
    """What the clients of each kind say. A token is another one each time, but for those that are known."""
    first = made.commands(users)
    return {
        "upgrade": [""] * len(users),
        "nowhere": made.commands(users, data={"conversations": "none"}, ttl_s=3600),
        "connect": first,
        "again": first,
        "resume": made.commands(users, offset=2, ttl_s=3601),
        "missed": made.commands(users, offset=1, ttl_s=3602),
    }


# --- tokens ---


def private_pem(key: Any) -> Secret:
    return Secret(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())


def public_pem(key: Any) -> str:
    pem: bytes = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem.decode()


@dataclass(frozen=True, slots=True)
class Signer:
    """What signs, how a hub is told to verify it, and the check of such a signature without anything around it."""

    key: Secret
    section: TokenSection
    bare: Callable[[], object]


MESSAGE: Final = b"x" * 150


def signers() -> dict[str, Signer]:
    """By algorithm."""
    secret = Secret(new_secret())
    by_rsa = rsa.generate_private_key(65537, 2048)
    by_curve = ec.generate_private_key(ec.SECP256R1())
    by_edwards = ed25519.Ed25519PrivateKey.generate()
    sha, padded = hashes.SHA256(), padding.PKCS1v15()
    of_rsa, of_curve = by_rsa.sign(MESSAGE, padded, sha), by_curve.sign(MESSAGE, ec.ECDSA(sha))
    of_edwards = by_edwards.sign(MESSAGE)
    rsa_public, curve_public, edwards_public = by_rsa.public_key(), by_curve.public_key(), by_edwards.public_key()
    return {
        "HS256": Signer(
            secret,
            TokenSection(hmac_secret_key=secret),
            lambda: hmac.digest(secret.reveal().encode(), MESSAGE, "sha256"),
        ),
        "RS256": Signer(
            private_pem(by_rsa),
            TokenSection(rsa_public_key=public_pem(rsa_public)),
            lambda: rsa_public.verify(of_rsa, MESSAGE, padded, sha),
        ),
        "ES256": Signer(
            private_pem(by_curve),
            TokenSection(ecdsa_public_key=public_pem(curve_public)),
            lambda: curve_public.verify(of_curve, MESSAGE, ec.ECDSA(sha)),
        ),
        "EdDSA": Signer(
            private_pem(by_edwards),
            TokenSection(ed25519_public_key=public_pem(edwards_public)),
            lambda: edwards_public.verify(of_edwards, MESSAGE),
        ),
    }


async def tokens(run: Run) -> None:
    """CPU µs of a check, the first time and again."""
    for algorithm, signer in signers().items():
        ring, policy = KeyRing.from_config(signer.section, "token"), policy_of(signer.section)
        verifier = TokenVerifier(ring, policy, clock=time.time, cache=ClaimsCache())
        made = [
            connection_token(f"user{number}", signer.key, now_s=time.time(), ttl_s=3600, algorithm=algorithm)
            for number in range(run.options.tokens)
        ]
        await verifier.connection(made.pop())
        run.add(f"token, {algorithm}", await timed(verifier.connection, made))
        gc.collect()
        began = time.process_time()
        for _ in made:
            signer.bare()
        run.add(f"bare {algorithm}", (time.process_time() - began) / len(made) * 1e6)
        if algorithm == "HS256":
            run.add("token, known", await timed(verifier.connection, made))


async def timed(check: Callable[[str], Awaitable[object]], every: list[str]) -> float:
    gc.collect()
    began = time.process_time()
    for one in every:
        await check(one)
    return (time.process_time() - began) / len(every) * 1e6


def _figures() -> list[Figure]:
    figures = [Figure(name, "µs", chart="the hub's CPU, each") for name in KINDS.values()]
    for kind in ("connect", "resume"):
        figures += [
            Figure(f"{kind}s a second", "/s", "higher", chart="a second"),
            Figure(f"{kind}s a second of the hub's CPU", "/s", "higher", goal=1000, chart="a second"),
            Figure(f"{kind}: mongod", "µs", chart="CPU of the others, each"),
            Figure(f"{kind}: Redis", "µs", chart="CPU of the others, each"),
            Figure(f"{kind}: the clients", "µs", better="", chart="CPU of the others, each"),
            Figure(f"{kind}: queries", "", goal=2, chart="queries, each"),
            Figure(f"{kind}: p50", "ms", chart="until the reply"),
            Figure(f"{kind}: p99", "ms", chart="until the reply"),
        ]
    for algorithm in ("HS256", "RS256", "ES256", "EdDSA"):
        figures.append(Figure(f"token, {algorithm}", "µs", baseline=f"bare {algorithm}", goal=100, chart="a token"))
        figures.append(Figure(f"bare {algorithm}", "µs", better="", chart="a token"))
    return [*figures, Figure("token, known", "µs", goal=5, chart="a token")]


SCENARIO = Scenario(
    name="connecting",
    title="Connecting",
    about="Clients that come to one hub on one core, so many at a time; what each costs by part and by process.",
    figures=_figures(),
    measure=measure,
    full={"clients": 2_000, "warm": 200, "conversations": 20, "members": 20, "at_once": 32, "tokens": 2_000},
    quick={"clients": 400, "warm": 100, "tokens": 500},
)

if __name__ == "__main__":
    main(SCENARIO)
