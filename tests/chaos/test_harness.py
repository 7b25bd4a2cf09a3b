"""The harness lives: a real cluster withstands one fault, and a hub that breaks a promise is found out.

The long runs are `make chaos` and `make soak`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from chaos.cluster import open_cluster
from chaos.conducting import Act, conduct
from chaos.fault import Fault, Run, Topology
from chaos.workload import Plan

SMALL = Plan(users=6, devices=6, conversations=3, sends_per_s=12.0, borrowed=0.1, gives_up_s=8.0)


@asynccontextmanager
async def hub_killed_and_redis_frozen(run: Run) -> AsyncIterator[None]:
    """The worst moment for what only the bus knows."""
    hub, redis = run.cluster.hubs[0], run.cluster.redises[0]
    redis.freeze()
    await hub.kill()
    try:
        yield
    finally:
        redis.thaw()
        await hub.start()


@asynccontextmanager
async def nothing(_run: Run) -> AsyncIterator[None]:
    yield


@pytest.mark.timeout(240)
@pytest.mark.slow
async def test_nothing_is_lost_when_a_hub_is_killed_while_redis_hangs(tmp_path: Path) -> None:
    fault = Fault("", "hub killed, Redis frozen", hub_killed_and_redis_frozen, lasts_s=2.0)
    async with open_cluster(Topology(), tmp_path) as cluster:
        result = await conduct(cluster, [Act((fault,))], seed=1, directory=tmp_path, plan=SMALL)
    verdict, counts = result.verdict, result.verdict.counts
    # How long things take is no matter of this test: the machine may be busy with others.
    broken = [invariant for invariant in verdict.broken if invariant not in ("I7", "I8")]
    assert not broken, verdict.violations
    assert counts.acked > 20
    assert counts.delivered > counts.acked
    assert counts.reconnects > 0
    assert result.history is not None
    assert result.history.stat().st_size > 0


@pytest.mark.timeout(240)
@pytest.mark.slow
async def test_a_hub_that_answers_with_another_users_message_is_found_out(tmp_path: Path) -> None:
    fault = Fault("", "nothing", nothing, lasts_s=4.0)
    async with open_cluster(Topology(workers=0), tmp_path, mutant="foreign-duplicate") as cluster:
        result = await conduct(cluster, [Act((fault,))], seed=1, directory=tmp_path, plan=SMALL)
    assert "I2" in result.verdict.broken
