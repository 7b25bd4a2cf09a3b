"""What it costs to come: connects and resumes a second on one core, by part and by process; and what a token costs.

python -m bench.connecting [--quick] [--clients 2000] [--conversations 20]
"""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
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
                for kind in KINDS:
                    await come(run, coming, kind)
            await tokens(run)


async def come(run: Run, coming: Coming, kind: str) -> None:
    """All of them, so many at a time."""
    users = coming.made.users[: run.options.clients]
    commands = commands_of(coming.made, users, kind)
    await asyncio.sleep(SETTLE_S)
    coming.cpu.take()
    coming.queries.since()
    took = await coming.clients.connect(commands, at_once=run.options.at_once)
    await asyncio.sleep(SETTLE_S)
    used, asked = coming.cpu.take(), coming.queries.since()
    still = await coming.clients.close()
    if still != len(users) or took["refused"]:
        raise RuntimeError(f"{kind}: {still} of {len(users)} came, {took['refused']} were refused")
    name, count = KINDS[kind], len(users)
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


def commands_of(made: Scene, users: list[str], kind: str) -> list[str]:
    match kind:
        case "upgrade":
            return [""] * len(users)
        case "nowhere":
            return made.commands(users, data={"conversations": "none"})
        case "resume":
            return made.commands(users, offset=2)
        case "missed":
            return made.commands(users, offset=1)
        case _:
            return made.commands(users)


# --- tokens ---


def pem(private: Any) -> tuple[Secret, str]:
    secret = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return Secret(secret), private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def signers() -> dict[str, tuple[Secret, TokenSection]]:
    """By algorithm: what signs, and how a hub is told to verify it."""
    secret = Secret(new_secret())
    rsa_private, rsa_public = pem(rsa.generate_private_key(65537, 2048))
    ec_private, ec_public = pem(ec.generate_private_key(ec.SECP256R1()))
    ed_private, ed_public = pem(ed25519.Ed25519PrivateKey.generate())
    return {
        "HS256": (secret, TokenSection(hmac_secret_key=secret)),
        "RS256": (rsa_private, TokenSection(rsa_public_key=rsa_public)),
        "ES256": (ec_private, TokenSection(ecdsa_public_key=ec_public)),
        "EdDSA": (ed_private, TokenSection(ed25519_public_key=ed_public)),
    }


async def tokens(run: Run) -> None:
    """CPU µs of a check, the first time and again."""
    for algorithm, (key, section) in signers().items():
        verifier = TokenVerifier(
            KeyRing.from_config(section, "token"), policy_of(section), clock=time.time, cache=ClaimsCache()
        )
        made = [
            connection_token(f"user{number}", key, now_s=time.time(), ttl_s=3600, algorithm=algorithm)
            for number in range(run.options.tokens)
        ]
        await verifier.connection(made.pop())
        run.add(f"token, {algorithm}", await timed(verifier.connection, made))
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
    figures += [
        Figure(f"token, {algorithm}", "µs", goal=100, chart="a token")
        for algorithm in ("HS256", "RS256", "ES256", "EdDSA")
    ]
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
