"""Real SDKs against a running server: which SDKs there are, and who serves them."""

import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cent
import pytest
import redis
from cent.dto import CentRequest, CentResultType
from pymongo import MongoClient

from conformance.harness.javascript import javascript_client, node_process
from conformance.harness.python import python_client
from conformance.harness.relay import Relay, relay_to
from conformance.harness.sdks import VARIANTS, Sdk
from conformance.harness.server import Served, served
from conformance.harness.speaker import ATTEMPTS
from realtime.protocol import codes
from support.servers import short_directory

HERE = Path(__file__).parent
API_KEY = "conformance-api-key"
TEMPORARY = {code.code for code in codes.ERRORS if code.temporary}


@pytest.fixture(scope="session")
def node() -> Iterator[Path]:
    """A Node process that runs the JavaScript SDK."""
    with short_directory() as directory, node_process(directory) as socket:
        yield socket


def _sdk(name: str, codec: str, request: pytest.FixtureRequest) -> Sdk:
    if name == "python":
        return Sdk(name, codec, python_client)
    return Sdk(name, codec, partial(javascript_client, request.getfixturevalue("node")))


@pytest.fixture(params=VARIANTS, ids="-".join)
def sdk(request: pytest.FixtureRequest) -> Sdk:
    """Each SDK with each codec."""
    return _sdk(*request.param, request)


@pytest.fixture
def sdks(request: pytest.FixtureRequest) -> list[Sdk]:
    """All of them, for what takes its time and can be waited for together."""
    return [_sdk(*variant, request) for variant in VARIANTS]


@pytest.fixture(scope="session")
def deployment(
    mongodb_url: str, redis_url: str, _mongodb: MongoClient[dict[str, Any]], _redis: redis.Redis
) -> Iterator[Callable[[], dict[str, str]]]:
    """Makes environments, each for a deployment of its own; what they leave behind is removed at the end."""
    names: list[str] = []

    def environment() -> dict[str, str]:
        names.append(f"test{secrets.token_hex(6)}")
        return {
            "MONGODB_URL": mongodb_url,
            "REDIS_URL": redis_url,
            "HUBBUB_MONGODB__DATABASE": names[-1],
            "HUBBUB_REDIS__PREFIX": names[-1],
        }

    yield environment
    for name in names:
        _mongodb.drop_database(name)
        for key in _redis.scan_iter(f"{name}*", count=1000):
            _redis.delete(key)


@pytest.fixture(scope="session")
def server(deployment: Callable[[], dict[str, str]]) -> Iterator[Served]:
    """The server of the scenarios, one for all: each test has users and channels of its own."""
    with served(HERE / "chat.toml", deployment()) as running:
        yield running


@pytest.fixture
async def relay(server: Served) -> AsyncIterator[Relay]:
    """The network between the server and one test's clients."""
    async with relay_to(server.address) as running:
        yield running


class PatientClient(cent.AsyncClient):
    """Sends a request again that is answered with a temporary error, as applications do."""

    async def _send(self, request: CentRequest[CentResultType], timeout: float | None = None) -> CentResultType:
        for _ in range(ATTEMPTS - 1):
            try:
                return await super()._send(request, timeout)
            except cent.CentApiResponseError as error:
                if error.code not in TEMPORARY:
                    raise
        return await super()._send(request, timeout)


@pytest.fixture
async def api(server: Served) -> AsyncIterator[cent.AsyncClient]:
    """The server API by its official client."""
    client = PatientClient(f"{server.http_url}/api", API_KEY)
    yield client
    await client._session.close()


@pytest.fixture
def name() -> Callable[[str], str]:
    """Names that no other test uses: `name("alice")`."""
    suffix = secrets.token_hex(4)
    return lambda base: f"{base}-{suffix}"
