"""The page's own modules, tested by Node's test runner. They hold no DOM and no network where they are tested."""

import shutil
import subprocess
from pathlib import Path

import pytest

FILES = sorted((Path(__file__).parent / "js").glob("*.test.mjs"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.removesuffix(".test.mjs"))
def test_module(file: Path) -> None:
    node = shutil.which("node")
    assert node, "node is not installed: apt-get install nodejs"
    run = subprocess.run([node, "--test", str(file)], capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr
