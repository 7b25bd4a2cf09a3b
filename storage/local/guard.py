"""Runs one program and never leaves it behind. A script of its own, started by children.py; one thread, stdlib only.

    python -I -S guard.py STATUS_FD GRACE_S REMOVE_IF_ORPHANED PROGRAM ARGUMENT...

A parent with threads cannot safely ask the kernel to kill its children (`PR_SET_PDEATHSIG` goes off when the *thread*
that forked ends, and code between fork and exec may deadlock), so this process stands between and ends its program when

- it is told so: `s` on standard input (SIGTERM, after GRACE_S seconds SIGKILL), or `k` (SIGKILL at once);
- standard input ends, or the parent's id changes: the parent is gone, however it went. Then the directory
  REMOVE_IF_ORPHANED is deleted, unless that is empty;
- it is itself killed: the program has this one thread as its parent, so here PR_SET_PDEATHSIG is exact (Linux only).

The program runs in a session of its own (a Ctrl-C in the terminal is the parent's business) and whatever it left in
its process group dies with it. STATUS_FD gets lines: `pid N` once it runs or `failed REASON`, and `exit N` (negative:
the signal).
"""

import contextlib
import ctypes
import os
import select
import shutil
import signal
import sys
import time
from typing import NoReturn

_STDIN = 0
_PR_SET_PDEATHSIG = 1
_PARENT_CHECK_S = 1.0
_STOP, _KILL = b"s", b"k"


def main(arguments: list[str]) -> int:
    """Run the program to its end; returns what the shell would (128 + signal for a killed one)."""
    status_fd, grace_s, remove_if_orphaned, argv = int(arguments[0]), float(arguments[1]), arguments[2], arguments[3:]
    os.set_inheritable(status_fd, False)
    os.set_blocking(_STDIN, False)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    wake_fd = _wake_on_signals()

    pid, failure = _spawn(argv)
    if failure:
        _report(status_fd, f"failed {failure}")
        return 127
    _report(status_fd, f"pid {pid}")
    code, orphaned = _watch(pid, wake_fd, grace_s)
    _signal_group(pid, signal.SIGKILL)  # what it left in its group
    if orphaned and remove_if_orphaned:
        shutil.rmtree(remove_if_orphaned, ignore_errors=True)
    _report(status_fd, f"exit {code}")
    return code if code >= 0 else 128 - code


def _wake_on_signals() -> int:
    read_fd, write_fd = os.pipe()
    os.set_blocking(read_fd, False)
    os.set_blocking(write_fd, False)
    signal.set_wakeup_fd(write_fd)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    return read_fd


def _spawn(argv: list[str]) -> tuple[int, str]:
    """Fork and exec; returns (pid, "") once the program runs, or (0, why not)."""
    guard = os.getpid()
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    failure_read, failure_write = os.pipe()  # closed by a successful exec
    pid = os.fork()
    if pid == 0:
        _become(argv, guard, libc, failure_write)
    os.close(failure_write)
    with os.fdopen(failure_read, encoding="utf-8", errors="replace") as pipe:
        failure = pipe.read()
    if failure:
        os.waitpid(pid, 0)
        return 0, failure
    return pid, ""


def _become(argv: list[str], guard: int, libc: ctypes.CDLL | None, failure_fd: int) -> NoReturn:
    try:
        os.setsid()
        if libc is not None:
            libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != guard:  # the guard died before the kernel knew our wish
            os._exit(1)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and an ignored signal is inherited
        os.dup2(os.open(os.devnull, os.O_RDONLY), _STDIN)
        os.execvp(argv[0], argv)  # noqa: S606 - running a program without a shell is the point
    except OSError as error:
        os.write(failure_fd, f"{argv[0]}: {error.strerror}".encode())
    finally:
        os._exit(127)


def _watch(pid: int, wake_fd: int, grace_s: float) -> tuple[int, bool]:
    """Wait for the program's end, or end it when it is time. Returns its exit code and whether the parent went away."""
    parent = os.getppid()
    watched = [_STDIN, wake_fd]
    orphaned = False
    kill_at = float("inf")
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status), orphaned
        wait_s = min(_PARENT_CHECK_S, max(kill_at - time.monotonic(), 0.0))
        readable, _, _ = select.select(watched, (), (), wait_s)
        order = b""
        if wake_fd in readable and any(number != signal.SIGCHLD for number in os.read(wake_fd, 4096)):
            order = _STOP
        if _STDIN in readable:
            order = os.read(_STDIN, 4096)
            if not order:
                watched.remove(_STDIN)
        if (_STDIN not in watched or os.getppid() != parent) and not orphaned:
            orphaned, order = True, _STOP
        if time.monotonic() >= kill_at or order.endswith(_KILL) or (order and grace_s <= 0):
            _signal_group(pid, signal.SIGKILL)
            kill_at = float("inf")
        elif order and kill_at == float("inf"):
            _signal_group(pid, signal.SIGTERM)
            _signal_group(pid, signal.SIGCONT)  # a stopped process hears no SIGTERM
            kill_at = time.monotonic() + grace_s


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _report(status_fd: int, line: str) -> None:
    with contextlib.suppress(BrokenPipeError):  # the parent is gone: nobody to tell
        os.write(status_fd, f"{line}\n".encode())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
