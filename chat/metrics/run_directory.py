"""A directory that the processes of a node share: each keeps its latest samples there, any of them reads all.

Files: `<process>.samples` (replaced atomically), `<process>.lock` (held with flock by its process for as long as it
lives: the kernel lets go of it however the process ends, and a process id that is used again cannot deceive), `retired`
(the counters of processes that ended) and `fold.lock` (held by whoever reads or folds, so that a reader never sees a
process neither living nor retired, or both).

Folding is safe to be killed at: `retired` names whom it contains, so a file that was not unlinked in time is not
counted twice. What is lost is what a killed process counted after its last write: at most a second, and nothing that
was ever exposed, because a scrape writes before it reads.

Synchronous: call it in a thread.
"""

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import structlog

from chat.metrics.families import ProcessSamples, Retired, retire

MAX_PROCESSES: Final = 256
"""Files of processes that are read; a node has as many processes as cores, more is a fault elsewhere."""

FOLD_DEADLINE_S: Final = 2.0

_PROCESS: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")

_Kind = TypeVar("_Kind")

_log = structlog.get_logger(__name__)


class RunDirectory:
    """One process' part in the directory. `open` before, `close` after; both may be called once."""

    def __init__(self, path: Path, process: str) -> None:
        """`process` is unique over all time (random), not a slot. ValueError if it is no file name."""
        if not _PROCESS.fullmatch(process) or process.startswith("."):
            raise ValueError(f"process {process!r} must match {_PROCESS.pattern} and not start with a dot")
        self._path = path
        self._process = process
        self._lock: int | None = None

    def open(self) -> None:
        """Make the directory (0700) if it is missing; be counted among the living from now on. May raise OSError."""
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = os.open(self._file("lock"), os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def close(self) -> None:
        """Be counted among those that ended. The last samples stay, to be folded by the next one that reads."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def write(self, samples: ProcessSamples) -> None:
        """Replace this process' samples. OSError if the disk is full or the directory gone."""
        _replace(self._file("samples"), msgspec.msgpack.encode(samples))

    def read(self) -> tuple[list[ProcessSamples], Retired]:
        """The living processes and the base of the ended ones. TimeoutError if another reader hangs."""
        with self._folding():
            paths = sorted(self._path.glob("*.samples"))[:MAX_PROCESSES]
            alive = [path for path in paths if self._lives(path.stem)]
            living = [samples for path in alive if (samples := _decode(path, ProcessSamples))]
            return living, self._fold([path for path in paths if path not in alive])

    def _fold(self, ended: list[Path]) -> Retired:
        path = self._path / "retired"
        base = _decode(path, Retired) or Retired([], [])
        if not ended:
            return base
        folded = retire(base, [samples for each in ended if (samples := _decode(each, ProcessSamples))])
        _replace(path, msgspec.msgpack.encode(folded))
        for each in ended:
            each.unlink(missing_ok=True)
            each.with_suffix(".lock").unlink(missing_ok=True)
        # Only now that their files are gone need their names no longer be remembered.
        folded = Retired([], folded.families)
        _replace(path, msgspec.msgpack.encode(folded))
        return folded

    def _lives(self, process: str) -> bool:
        if process == self._process:
            return True
        try:
            lock = os.open(self._path / f"{process}.lock", os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            return False
        finally:
            os.close(lock)

    @contextlib.contextmanager
    def _folding(self) -> Iterator[None]:
        lock = os.open(self._path / "fold.lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            deadline = time.monotonic() + FOLD_DEADLINE_S
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    # A holder that is frozen must not freeze every scrape: no blocking flock.
                    if time.monotonic() > deadline:
                        raise TimeoutError(
                            f"{self._path}/fold.lock is held for more than {FOLD_DEADLINE_S} s"
                        ) from None
                    time.sleep(0.01)
            yield
        finally:
            os.close(lock)

    def _file(self, suffix: str) -> Path:
        return self._path / f"{self._process}.{suffix}"


def _replace(path: Path, data: bytes) -> None:
    """Atomic for readers; not synced to disk, since it need not outlive the machine."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_bytes(data)
    new.replace(path)


def _decode(path: Path, kind: type[_Kind]) -> _Kind | None:
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        # Another release wrote it, or a disk was full. It must not take everybody's metrics with it.
        _log.warning("samples_unreadable", path=str(path), reason=str(error))
        return None
