"""A process publishes its samples; any process of the node exposes all of them over HTTP."""

import asyncio
import platform
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from chat.metrics.node import NodeMetrics, published
from chat.metrics.registry import process_registry
from chat.metrics.routes import metrics_routes
from chat.metrics.run_directory import RunDirectory
from chat.metrics.snapshot import Hot, Identity, decode
from realtime.stats import Stats

Client = TestClient[web.Request, web.Application]


class Process:
    """A hub process of the node, without the hub."""

    def __init__(self, path: Path, slot: str, generation: int = 0) -> None:
        registry = process_registry("0.1.0")
        self.stats = Stats(registry)
        self.snapshots: list[bytes] = []
        process = f"p{slot}-{generation}"
        self.metrics = NodeMetrics(
            registry,
            RunDirectory(path, process),
            Identity(process=process, node="n", slot=slot, role="hub", pid=1, version="0.1.0", started_at=0),
            clock=lambda: 1_000,
            hot=lambda: [Hot("conv:a", 12.5, 3)],
            set_snapshot=self.snapshots.append,
        )


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def serve(stack: AsyncExitStack, process: Process, token: str | None = None) -> Client:
    app = web.Application()
    app.add_routes(metrics_routes(process.metrics, token=token))
    return await stack.enter_async_context(TestClient(TestServer(app)))


async def sample(client: Client, name: str, **labels: str) -> float | None:
    response = await client.get("/metrics")
    assert response.status == 200
    for family in parse_text(await response.text()):
        for each in family.samples:
            if each.name == name and each.labels == labels:
                return float(each.value)
    return None


async def test_any_process_exposes_all_of_the_node(tmp_path: Path, stack: AsyncExitStack) -> None:
    first, second = Process(tmp_path, "0"), Process(tmp_path, "1")
    for process in (first, second):
        await stack.enter_async_context(published(process.metrics))
    first.stats.deliveries += 3
    second.stats.deliveries += 4
    await second.metrics.publish()

    client = await serve(stack, first)
    assert await sample(client, "hubbub_deliveries_total") == 7
    assert await sample(client, "hubbub_processes") == 2
    assert await sample(client, "process_resident_memory_bytes", process="1") is not None
    assert await sample(client, "hubbub_build_info", version="0.1.0", python=platform.python_version()) == 1


async def test_a_restart_of_one_process_does_not_set_counters_back(tmp_path: Path, stack: AsyncExitStack) -> None:
    stays = Process(tmp_path, "0")
    await stack.enter_async_context(published(stays.metrics))
    client = await serve(stack, stays)
    for generation in range(3):
        restarts = Process(tmp_path, "1", generation)
        async with published(restarts.metrics):
            restarts.stats.deliveries += 5
        assert await sample(client, "hubbub_deliveries_total") == 5 * (generation + 1)
        assert await sample(client, "hubbub_processes") == 1


async def test_what_was_exposed_once_is_never_taken_back(tmp_path: Path, stack: AsyncExitStack) -> None:
    """The process is scraped and killed before its next write: the next one must go on from what was shown."""
    killed = Process(tmp_path, "0")
    await killed.metrics.open()
    killed.stats.deliveries += 9
    client = await serve(stack, killed)
    assert await sample(client, "hubbub_deliveries_total") == 9
    killed.metrics._directory.close()  # what the kernel does: the lock is gone, nothing else happens

    survivor = Process(tmp_path, "1")
    await stack.enter_async_context(published(survivor.metrics))
    assert await sample(await serve(stack, survivor), "hubbub_deliveries_total") == 9


async def test_the_snapshot_for_the_other_nodes_is_small_and_complete(tmp_path: Path) -> None:
    process = Process(tmp_path, "0")
    process.stats.connections["json"] += 2
    process.stats.connections["protobuf"] += 1
    process.stats.disconnected(3008)
    process.stats.fan_out_duration.observe(0.000_3)
    async with published(process.metrics):
        while not process.snapshots:
            await asyncio.sleep(0)
    snapshot = decode(process.snapshots[0])

    assert len(process.snapshots[0]) < 4_096
    assert snapshot.who.process == "p0-0"
    assert snapshot.gauges["connections"] == 3
    assert snapshot.labelled["disconnects"] == {"3008": 1}
    assert snapshot.counters["closed"] == 1
    assert sum(snapshot.histograms["fan_out"].counts) == 1
    assert len(snapshot.histograms["fan_out"].counts) == len(snapshot.histograms["fan_out"].le) + 1
    assert snapshot.hot == [Hot("conv:a", 12.5, 3)]
    assert "stored" not in snapshot.counters


@pytest.mark.parametrize("data", [b"", b"{}", b'{"v":2}', b"[1]", b"\xff"])
def test_a_snapshot_of_another_kind_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode(data)


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain"),
        ("*/*", "text/plain"),
        ("text/html;q=0.9, application/openmetrics-text; version=1.0.0", "application/openmetrics-text"),
        ("application/openmetrics-text; version=banana; escaping=\tx", "application/openmetrics-text"),
        ("text/plain;version=0.0.4", "text/plain"),
    ],
)
async def test_the_scraper_gets_the_format_it_asks_for(
    tmp_path: Path, stack: AsyncExitStack, accept: str, content_type: str
) -> None:
    process = Process(tmp_path, "0")
    await stack.enter_async_context(published(process.metrics))
    client = await serve(stack, process)
    response = await client.get("/metrics", headers={"Accept": accept})

    assert response.status == 200
    assert response.content_type == content_type
    parse = parse_openmetrics if content_type.startswith("application") else parse_text
    assert {family.name for family in parse(await response.text())} > {"hubbub_users", "hubbub_bus_lag_seconds"}


async def test_a_token_is_asked_for_where_one_is_configured(tmp_path: Path, stack: AsyncExitStack) -> None:
    process = Process(tmp_path, "0")
    await stack.enter_async_context(published(process.metrics))
    client = await serve(stack, process, token="s3cret")

    for wrong in ("", "Bearer", "Bearer wrong", "Basic s3cret", "Bearer ü"):
        response = await client.get("/metrics", headers={"Authorization": wrong})
        assert response.status == 401
        assert "hubbub_" not in await response.text()
    assert (await client.get("/metrics", headers={"Authorization": "Bearer s3cret"})).status == 200


async def test_a_run_directory_that_went_away_is_said_so(tmp_path: Path, stack: AsyncExitStack) -> None:
    process = Process(tmp_path / "run", "0")
    await stack.enter_async_context(published(process.metrics))
    client = await serve(stack, process)
    await client.get("/metrics")
    for path in (tmp_path / "run").iterdir():
        path.unlink()
    (tmp_path / "run").rmdir()

    assert (await client.get("/metrics")).status == 503
