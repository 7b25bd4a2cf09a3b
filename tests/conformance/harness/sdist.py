"""The source distribution of an SDK, from the package index: its tests come with it."""

import subprocess
import sys
import tarfile
from pathlib import Path

WITHIN_S = 200.0


def unpacked_sdist(name: str, version: str, sha256: str, cache: Path, into: Path) -> Path:
    """Download the distribution once (it is kept in `cache`), check its hash and unpack it. Returns its directory."""
    archive = next(iter(cache.glob("*.tar.gz")), None) or _download(name, version, sha256, cache)
    with tarfile.open(archive) as tar:
        tar.extractall(into, filter="data")
    return next(into.iterdir())


def _download(name: str, version: str, sha256: str, cache: Path) -> Path:
    requirement = cache / "requirements.txt"
    requirement.write_text(f"{name}=={version} --hash=sha256:{sha256}\n")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download"]
    subprocess.run(
        [*pip, "--no-deps", "--no-binary", ":all:", "--require-hashes", "-r", str(requirement), "-d", str(cache)],
        check=True,
        timeout=WITHIN_S,
        stdin=subprocess.DEVNULL,
    )
    return next(cache.glob("*.tar.gz"))
