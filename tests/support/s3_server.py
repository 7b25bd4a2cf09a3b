"""A real S3 server on a directory: rclone's, which checks signatures, signed headers and the time of links."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import create_connection
from typing import Final

from storage.local.ports import free_port

ACCESS_KEY: Final = "ACCESSKEYOFTHETESTS"
SECRET_KEY: Final = "a-secret-of-the-tests"
BUCKET: Final = "files"

_READY_WITHIN_S: Final = 20.0
_RCLONE: Final = Path(sys.executable).with_name("rclone")


@dataclass(frozen=True, slots=True)
class S3Server:
    """Objects of the bucket are files of `directory`."""

    endpoint: str
    directory: Path

    def settings(self, **more: object) -> dict[str, object]:
        """For `test_config`."""
        return {
            "uploads__store": "s3",
            "uploads__s3__endpoint": self.endpoint,
            "uploads__s3__bucket": BUCKET,
            "uploads__s3__prefix": "hub/",
            "uploads__s3__access_key_id": ACCESS_KEY,
            "uploads__s3__secret_access_key": SECRET_KEY,
            **more,
        }

    def objects(self) -> list[str]:
        """Names of all objects, without their bucket."""
        while True:
            try:
                found = [path for path in self.directory.rglob("*") if path.is_file()]
            except FileNotFoundError:
                continue  # the server removes folders that have become empty
            return sorted(str(path.relative_to(self.directory)) for path in found)


@contextmanager
def s3_server(data: Path) -> Iterator[S3Server]:
    directory = data / BUCKET
    directory.mkdir(parents=True)
    port = free_port()
    command = [
        *(str(_RCLONE), "serve", "s3", str(data)),
        *("--addr", f"127.0.0.1:{port}", "--auth-key", f"{ACCESS_KEY},{SECRET_KEY}"),
        *("--config", str(data.parent / "none.conf")),
        # With 0 it would look after its cache without a pause, for as long as it runs.
        *("--dir-cache-time", "20ms", "--vfs-cache-mode", "off"),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _until_it_listens(port, process)
            yield S3Server(f"http://127.0.0.1:{port}", directory)
        finally:
            process.terminate()


def _until_it_listens(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _READY_WITHIN_S
    while True:
        try:
            create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return
