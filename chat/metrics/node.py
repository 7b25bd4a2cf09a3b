"""The metrics of this process, published once a second, and those of the whole node, put together when asked."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Final, TypeVar

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector

from chat.metrics.families import Exposed, Family, ProcessSamples, merge, take
from chat.metrics.run_directory import RunDirectory
from chat.metrics.snapshot import Hot, Identity, Lane, Snapshot, encode, make

INTERVAL_S: Final = 1.0

_Result = TypeVar("_Result")

_log = structlog.get_logger(__name__)


class NodeMetrics:
    """One process' part in its node. `published` opens it, owns the task that publishes, and closes it."""

    def __init__(
        self,
        registry: CollectorRegistry,
        directory: RunDirectory,
        who: Identity,
        *,
        clock: Callable[[], int],
        hot: Callable[[], Sequence[Hot]] | None = None,
        lanes: Callable[[], Sequence[Lane]] | None = None,
        set_snapshot: Callable[[bytes], None] | None = None,
    ) -> None:
        """`clock` in ms. `hot` and `lanes` are asked and `set_snapshot` told on the event loop once a second: none may
        block.
        """
        self._registry = registry
        self._directory = directory
        self._who = who
        self._clock = clock
        self._hot = hot
        self._lanes = lanes
        self._set_snapshot = set_snapshot
        self._snapshot = make((), who, at=clock())
        # One thread, so that files are written and read in the order of asking, also when whoever asked was cancelled.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="metrics")

    @property
    def snapshot(self) -> Snapshot:
        """The latest of this process; at most about a second old while the event loop turns."""
        return self._snapshot

    async def exposition(self, encode: Callable[[Collector], bytes]) -> bytes:
        """What this node's processes count together, as `encode` (prometheus_client's) puts it.

        This process' samples are written first: nothing is ever exposed that would be forgotten if it were killed next.
        All but the collecting is done in a thread, since encoding takes tens of milliseconds. OSError or TimeoutError
        if the run directory is of no use.
        """

        def read() -> bytes:
            living, retired = self._directory.read()
            return encode(Exposed(merge(living, retired, now=self._clock())))

        await self._write(take(self._registry.collect()))
        return await self._in_thread(read)

    async def publish(self) -> None:
        """Renew the snapshot and write the samples. OSError if the disk is full."""
        families = take(self._registry.collect())
        self._snapshot = make(
            families,
            self._who,
            at=self._clock(),
            hot=self._hot() if self._hot else (),
            lanes=self._lanes() if self._lanes else (),
        )
        if self._set_snapshot is not None:
            self._set_snapshot(encode(self._snapshot))
        await self._write(families)

    async def open(self) -> None:
        """Join the node. OSError if the directory cannot be made; a leftover that cannot be folded now can be later."""
        await self._in_thread(self._directory.open)
        try:
            await self._in_thread(self._directory.read)
        except TimeoutError as error:
            _log.warning("metrics_not_folded", reason=str(error))

    async def close(self) -> None:
        """Write the last word and leave: the next reader adds it to the base."""
        try:
            await self._write(take(self._registry.collect()))
        except OSError as error:
            _log.warning("metrics_not_written", reason=str(error))
        await self._in_thread(self._directory.close)
        self._thread.shutdown(wait=False)

    async def _write(self, families: list[Family]) -> None:
        samples = ProcessSamples(self._who.process, self._who.slot, self._who.pid, self._clock(), families)
        await self._in_thread(partial(self._directory.write, samples))

    async def _in_thread(self, call: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)


@asynccontextmanager
async def published(metrics: NodeMetrics, *, interval_s: float = INTERVAL_S) -> AsyncIterator[NodeMetrics]:
    """While inside, publish every `interval_s`. A write that fails is logged once until it works again."""

    async def run() -> None:
        failing = False
        while True:
            try:
                await metrics.publish()
                failing = False
            except OSError as error:
                if not failing:
                    _log.warning("metrics_not_written", reason=str(error))
                failing = True
            await asyncio.sleep(interval_s)

    await metrics.open()
    task = asyncio.create_task(run(), name="metrics")
    try:
        yield metrics
    finally:
        task.cancel()
        await asyncio.wait([task])
        await metrics.close()
