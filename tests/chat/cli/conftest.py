"""Commands in tests see no configuration but what the test gives."""

import os
from pathlib import Path

import pytest


@pytest.fixture
def empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory and an environment without our variables."""
    for name in list(os.environ):
        if name.startswith("HUBBUB_") or name in ("MONGODB_URL", "REDIS_URL", "PORT", "WEB_CONCURRENCY"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path
