"""The mongods of a cluster: one that is a replica set of itself, or several that elect."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from chaos.replica_set import Member, open_replica_set
from chaos.servers import Observe
from storage.local.find import located
from storage.local.mongod import prepared_mongod


@asynccontextmanager
async def open_members(count: int, data: Path, logs: Path, observe: Observe) -> AsyncIterator[Sequence[Member]]:
    """So many mongods with test commands enabled, their data below `data`; one takes writes when the block begins."""
    if count > 1:
        async with open_replica_set(count, data, logs, observe) as members:
            yield members
        return
    async with AsyncExitStack() as stack:
        service = prepared_mongod(
            data / "mongod1",
            await asyncio.to_thread(located, "mongod"),
            log=logs / "mongod1.log",
            ephemeral=True,
            orphans_remove=data,
            test_commands=True,
        )
        member = Member("mongod1", service, observe)
        member.port = member.own_port = service.port
        stack.push_async_callback(member.close)
        await member.start()
        yield (member,)
