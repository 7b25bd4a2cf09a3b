"""The mongods of a cluster: one that is a replica set of itself, or three that elect."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from chaos.servers import ChildServer, Observe
from storage.local.find import located
from storage.local.mongod import prepared_mongod


class Member(ChildServer):
    """A mongod. `port` is its own, past any link."""

    port: int = 0
    replica_set: str = "rs0"


@asynccontextmanager
async def open_members(count: int, data: Path, logs: Path, observe: Observe) -> AsyncIterator[Sequence[Member]]:
    """So many mongods with test commands enabled, their data below `data`; one takes writes when the block begins."""
    if count != 1:
        raise NotImplementedError("a replica set of three is not here yet")
    async with AsyncExitStack() as stack:
        program = located("mongod")
        service = prepared_mongod(
            data / "mongod1",
            program,
            log=logs / "mongod1.log",
            ephemeral=True,
            orphans_remove=data,
            test_commands=True,
        )
        member = Member("mongod1", service, observe)
        member.port = service.port
        stack.push_async_callback(member.close)
        await member.start()
        yield (member,)
