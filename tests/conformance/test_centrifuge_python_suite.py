"""The tests of centrifuge-python itself, as its authors run them against Centrifugo: the suite of its source
distribution, not a line changed, in a process of its own.

They want their server on localhost:8000, which may be taken here. So they get a proxy by the environment, as people
behind a firewall do, and the proxy knows where our server is.
"""

import asyncio
import os
import re
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conformance.harness.proxy import environment_with_proxy, forward_proxy
from conformance.harness.sdist import unpacked_sdist
from conformance.harness.server import Served, served

CONFIG = Path(__file__).parent / "centrifuge_python.toml"
VERSION = "0.7.0"
SHA256 = "11252b45c3f6b6104cfb07fb0fcfc9d2d62832d2af14715dd16fdc5e9c6e5964"
TESTS = 62
POLITELY = ("nice", "-n", "15")
"""One of the tests assumes that a subscribe is answered before another client has connected. On a busy machine that
holds if the server gets its time first.
"""
WITHIN_S = 120.0


@pytest.fixture(scope="module")
def suite(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked source distribution; downloaded once, then kept in pytest's cache directory."""
    assert pytestconfig.cache is not None
    cache = pytestconfig.cache.mkdir(f"centrifuge-python-{VERSION}")
    return unpacked_sdist("centrifuge-python", VERSION, SHA256, cache, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def server_of_suite(deployment: Callable[[], dict[str, str]]) -> Iterator[Served]:
    """Configured as the suite wants it."""
    with served(CONFIG, deployment()) as running:
        yield running


@pytest.mark.slow
async def test_the_suite_of_the_sdk_is_green(suite: Path, server_of_suite: Served, tmp_path: Path) -> None:
    said = tmp_path / "output.txt"
    async with forward_proxy({("localhost", 8000): server_of_suite.address}) as (proxy, proxy_url):
        with said.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *POLITELY,
                *(sys.executable, "-m", "unittest", "-v", "tests.test_client"),
                cwd=suite,
                env=environment_with_proxy(os.environ, proxy_url),
                stdin=DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            async with asyncio.timeout(WITHIN_S):
                code = await process.wait()
        except TimeoutError:
            process.kill()
            code = await process.wait()
    text = said.read_text(errors="replace")
    assert code == 0, text[-5000:]
    # Green because all of them ran, and against our server.
    assert re.search(rf"^Ran {TESTS} tests in .*\n\nOK$", text, re.MULTILINE), text[-2000:]
    assert proxy.detoured > TESTS
