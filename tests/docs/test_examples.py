"""Every call that the documentation shows works as shown, over the socket and by REST."""

import json
import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from chat.docs.calls import Call, calls, decoded, filled
from chat.http.resources import RESOURCES, Resource
from chat.methods import METHODS
from support.app import App, serve_app, test_config
from support.documented import Documented
from support.wire_client import wire_client

FEATURES = Path(__file__).parents[2] / "docs" / "features"
PAGES = sorted(path.name for path in FEATURES.glob("*.md"))

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app(_mongodb: Any, _redis: Any, mongodb_url: str, redis_url: str) -> AsyncIterator[App]:
    name = f"test_{secrets.token_hex(6)}"
    async with serve_app(test_config(mongodb_url, name, redis_url, name)) as app:
        yield app
    _mongodb.drop_database(name)
    for key in _redis.scan_iter(f"{name}*", count=1000):
        _redis.delete(key)


def wrong(page: str, call: Call, request: object, answer: object) -> str:
    title = f"rpc {call.method}" if call.over_socket else f"rest {call.verb} {call.path}"
    return f"docs/features/{page}:{call.line}: ```{title}\nrequest: {json.dumps(request)}\nanswer: {json.dumps(answer)}"


async def each(app: App, page: str, wanted: Callable[[Call], bool]) -> AsyncIterator[tuple[Call, str, Any]]:
    """The calls of a page with what stands for their variables: the path and the body."""
    there = Documented(app)
    await there.fresh()
    for call in calls((FEATURES / page).read_text()):
        if wanted(call):
            values = await there.values(call.variables)
            try:
                yield call, filled(call.path, values), decoded(call, values)
            except ValueError as error:
                pytest.fail(wrong(page, call, call.body, str(error)))


@pytest.mark.parametrize("page", PAGES)
async def test_the_calls_of_a_page_work_over_the_socket(app: App, page: str) -> None:
    async with wire_client(app.websocket) as alice:
        await alice.connect(app.token("alice"))
        async for call, _, body in each(app, page, lambda call: call.over_socket):
            answer = await alice.rpc(call.method, **(body or {}))
            assert "error" not in (answer or {}), wrong(page, call, body, answer)


@pytest.mark.parametrize("page", PAGES)
async def test_the_calls_of_a_page_work_by_rest(app: App, page: str) -> None:
    async with app.rest("alice") as session:
        async for call, path, body in each(app, page, lambda call: not call.over_socket):
            async with session.request(call.verb, path, json=body) as response:
                answer = await response.json(content_type=None) if response.status != 304 else None
            assert response.status < 400, wrong(page, call, body, answer)


async def test_every_method_is_shown_somewhere_both_ways() -> None:
    shown = [call for page in PAGES for call in calls((FEATURES / page).read_text())]
    over_socket = {call.method for call in shown}
    missing = sorted(METHODS.keys() - over_socket)
    assert not missing, f"docs/features/*.md show no ```rpc block of {', '.join(missing)}"
    by_rest = {resource.method.name for call in shown for resource in RESOURCES if is_of(call, resource)}
    assert METHODS.keys() == by_rest, f"docs/features/*.md show no ```rest block of {sorted(METHODS.keys() - by_rest)}"


def is_of(call: Call, resource: Resource) -> bool:
    given, wanted = call.path.partition("?")[0].split("/"), resource.path.split("/")
    return (
        call.verb == resource.verb
        and len(given) == len(wanted)
        and all(there.startswith("{") or here == there for here, there in zip(given, wanted, strict=True))
    )
