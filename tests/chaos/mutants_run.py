"""Runs each broken hub under a fault that brings it out, and asks whether the checker noticed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, cast

from chaos.cluster import open_cluster
from chaos.conducting import Act, Result, conduct
from chaos.fault import Fault, Run, Topology
from chaos.mutants import MUTANTS
from chaos.replica_set import Member
from chaos.workload import Plan

PATIENCE_S: Final = 10.0
"""A broken hub need not heal: no longer is waited for."""
PLAN: Final = Plan(gives_up_s=10.0, borrowed=0.1)
RESETS: Final = 6
KILLS: Final = 3


@asynccontextmanager
async def nothing(_run: Run) -> AsyncIterator[None]:
    """No fault at all."""
    yield


@asynccontextmanager
async def clients_reset(run: Run) -> AsyncIterator[None]:
    """Every client loses its connection, again and again."""
    for _ in range(RESETS):
        for hub in run.cluster.hubs:
            hub.clients.reset()
        await asyncio.sleep(0.9)
    yield


@asynccontextmanager
async def mongod_killed(run: Run) -> AsyncIterator[None]:
    """The database dies where its journal is written as seldom as it can be, and comes back."""
    mongod = run.cluster.mongods[0]
    for _ in range(KILLS):
        await run.cluster.mongo({"setParameter": 1, "journalCommitInterval": 500})
        await asyncio.sleep(1.5)
        await mongod.kill()
        await asyncio.sleep(0.3)
        await mongod.start()
    yield


@asynccontextmanager
async def primary_isolated(run: Run) -> AsyncIterator[None]:
    """The others elect a new primary; the old one learns of it late, and has to forget."""
    async with run.cluster.primary() as primary:
        with cast("Member", primary).isolated():
            await asyncio.sleep(9.0)
            yield


FAULTS: Final[Mapping[str, Fault]] = {
    "nothing": Fault("", "nothing", nothing, lasts_s=9.0),
    "clients-reset": Fault("", "clients-reset", clients_reset, lasts_s=1.0),
    "mongod-killed": Fault("", "mongod-killed", mongod_killed, lasts_s=2.0),
    "primary-isolated": Fault("", "primary-isolated", primary_isolated, Topology(mongods=3), lasts_s=1.0),
}


async def run_mutant(name: str, seed: int, directory: Path) -> Result:
    """One broken hub, on a cluster of its own."""
    mutant = MUTANTS[name]
    # Without a worker: it would not start where a promise of the database is broken, and takes no part here.
    topology = Topology(workers=0, mongods=mutant.mongods)
    async with open_cluster(topology, directory / name, mutant=name) as cluster:
        fault = FAULTS[mutant.under]
        return await conduct(
            cluster, [Act((fault,))], seed=seed, directory=directory / name, plan=PLAN, patience_s=PATIENCE_S
        )


async def run_mutants(
    names: Sequence[str], seed: int, directory: Path, say: Callable[[str], None]
) -> tuple[list[tuple[str, str, str, str]], bool]:
    """Rows of mutant, what it does, fault and what caught it; and whether all were caught. Tells as it goes."""
    rows: list[tuple[str, str, str, str]] = []
    all_caught = True
    for name in names or MUTANTS:
        mutant = MUTANTS[name]
        result = await run_mutant(name, seed, directory)
        caught = [invariant for invariant in result.verdict.broken if invariant in mutant.breaks]
        all_caught = all_caught and bool(caught)
        kinds = "; ".join(f"{invariant} {what} ({count})" for (invariant, what), count in result.verdict.kinds.items())
        rows.append((name, mutant.does, mutant.under, kinds if caught else f"NOT CAUGHT ({kinds or 'nothing seen'})"))
        say(f"{name:<22} {mutant.under:<17} {'caught' if caught else 'NOT CAUGHT'}: {kinds} ({result.took_s:.0f} s)")
        if not caught:
            for finding in result.findings[:10]:
                say(f"    {finding}")
    return rows, all_caught
