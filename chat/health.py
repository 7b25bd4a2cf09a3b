"""`/livez` and `/readyz`: whether to restart this process, and whether to send it traffic.

Liveness asks nothing but the event loop: a database that is away is no reason to restart anything. Readiness asks each
dependency, at most once a second however many ask. MongoDB away, not migrated or draining is not ready (503); Redis
away is degraded: sends are still stored, acked and delivered, so the balancer must not take the process out.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, Literal, Protocol

import msgspec
from aiohttp import web

Status = Literal["ok", "degraded", "unavailable"]

PING_TIMEOUT_S: Final = 1.0
CACHED_S: Final = 1.0

_NO_STORE: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class Dependency(Protocol):
    """A server that this process needs."""

    async def ping_ms(self) -> float:
        """A round trip. Raises ConnectionError or TimeoutError when the server is away."""


class DependencyHealth(msgspec.Struct, frozen=True):
    """`latency_ms` is null when the server did not answer; `reason` is then `timeout` or `unreachable`."""

    status: Literal["ok", "unavailable"]
    latency_ms: float | None = None
    reason: str | None = None


class Readiness(msgspec.Struct, frozen=True):
    """What `/readyz` says. `reasons` is empty when `status` is ok."""

    status: Status
    reasons: list[str]
    dependencies: dict[str, DependencyHealth]


class Health:
    """Asks the dependencies, each for at most a second, and remembers the answer for a second."""

    def __init__(
        self,
        *,
        required: Mapping[str, Dependency],
        optional: Mapping[str, Dependency],
        not_ready: Callable[[], str | None],
        monotonic: Callable[[], float],
    ) -> None:
        """Without a `required` dependency the process is unavailable, without an `optional` one degraded.

        `not_ready` gives the reason why the process itself wants no traffic (`draining`, `not_migrated`), else None. It
        is asked each time: draining must show at once.
        """
        self._required = required
        self._optional = optional
        self._not_ready = not_ready
        self._monotonic = monotonic
        self._asking = asyncio.Lock()
        self._answers: dict[str, DependencyHealth] = {}
        self._valid_until = float("-inf")

    async def readiness(self) -> Readiness:
        """The state now, dependencies at most a second old. Takes at most a second; never raises."""
        async with self._asking:
            if self._monotonic() >= self._valid_until:
                self._answers = await self._ask()
                self._valid_until = self._monotonic() + CACHED_S
        answers = self._answers
        away = [name for name in (*self._required, *self._optional) if answers[name].status != "ok"]
        reasons = [f"{name}_{answers[name].reason}" for name in away]
        status: Status = "degraded" if away else "ok"
        if any(name in self._required for name in away):
            status = "unavailable"
        if (reason := self._not_ready()) is not None:
            status = "unavailable"
            reasons.insert(0, reason)
        return Readiness(status, reasons, answers)

    async def _ask(self) -> dict[str, DependencyHealth]:
        everyone = {**self._required, **self._optional}
        answers = await asyncio.gather(*(_ping(dependency) for dependency in everyone.values()))
        return dict(zip(everyone, answers, strict=True))


def health_routes(health: Health) -> list[web.RouteDef]:
    """`/livez` and `/readyz`. They say nothing that a stranger may not know."""

    async def livez(_: web.Request) -> web.Response:
        return json_answer(200, {"status": "ok"})

    async def readyz(_: web.Request) -> web.Response:
        readiness = await health.readiness()
        return json_answer(503 if readiness.status == "unavailable" else 200, readiness)

    return [web.get("/livez", livez), web.get("/readyz", readyz)]


async def _ping(dependency: Dependency) -> DependencyHealth:
    try:
        async with asyncio.timeout(PING_TIMEOUT_S):
            return DependencyHealth("ok", latency_ms=round(await dependency.ping_ms(), 2))
    except TimeoutError:
        return DependencyHealth("unavailable", reason="timeout")
    except ConnectionError:
        return DependencyHealth("unavailable", reason="unreachable")


def json_answer(status: int, body: object) -> web.Response:
    return web.Response(
        status=status, body=msgspec.json.encode(body), content_type="application/json", headers=_NO_STORE
    )
