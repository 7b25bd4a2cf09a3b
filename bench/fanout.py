"""CPU per delivery: one process, one channel, many receivers; beside the floor and two well-known servers, in one run.

The server is pinned to one core, the receivers to another. CPU is the server process' own (user and system). Every
variant is measured `--rounds` times, in turn, so that noise of the machine hits all of them alike.

    python -m bench.fanout [--receivers 1000] [--messages 100] [--size 150] [--rounds 5] [--json FILE]
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent
SERVER_CORE, RECEIVER_CORE = 0, 1
BURST = 10


@dataclass
class Variant:
    """A running server with its receivers."""

    name: str
    server: subprocess.Popen[str]
    receivers: subprocess.Popen[str]

    def measure_us(self, order: str) -> float:
        """CPU microseconds for an order of messages."""
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.write(f"{order}\n")
        self.server.stdin.flush()
        return float(self.server.stdout.readline())


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def spawn(command: list[str], core: int, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {core % (os.cpu_count() or 1)}),
        **options,  # type: ignore[call-overload]  # keyword arguments of Popen
    )


@contextmanager
def running(name: str, command: list[str], port: int, count: int, kind: str, connect: str = "") -> Iterator[Variant]:
    server = spawn(command, SERVER_CORE, cwd=ROOT.parent)
    try:
        assert server.stdout is not None
        while not (line := server.stdout.readline()).startswith("listening"):
            if not line:
                raise SystemExit(f"{name} did not start")
        if "ws://" in line:
            port = int(line.split("//")[1].split("/")[0].split(":")[1])
        arguments = [sys.executable, str(ROOT / "receivers.py"), str(port), str(count), kind]
        receivers = spawn([*arguments, connect] if connect else arguments, RECEIVER_CORE)
        try:
            while not (line := server.stdout.readline()).startswith("ready"):
                if not line:
                    raise SystemExit(f"{name} ended while its receivers connected")
            yield Variant(name, server, receivers)
        finally:
            receivers.kill()
            receivers.wait()
    finally:
        server.kill()
        server.wait()


def compile_send_loop(directory: Path) -> Path:
    binary = directory / "send_loop"
    subprocess.run(["cc", "-O2", "-o", str(binary), str(ROOT / "baselines" / "send_loop.c")], check=True)
    return binary


@contextmanager
def variants(count: int, size: int) -> Iterator[list[Variant]]:
    """All servers at once; only the one that is measured has work."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hubbub-bench-")))
        found = []
        port = free_port()
        loop = [str(compile_send_loop(directory)), str(port), str(count), str(size)]
        found.append(stack.enter_context(running("C send() loop", loop, port, count, "raw")))
        hub = [sys.executable, "-m", "bench.hub_server", str(count), str(size), str(directory)]
        connect = '{"id":1,"connect":{"token":"bench"}}'
        found.append(stack.enter_context(running("Hubbub", hub, 0, count, "websocket", connect)))
        port = free_port()
        send_str = [sys.executable, str(ROOT / "baselines" / "aiohttp_send_str.py"), str(port), str(count), str(size)]
        found.append(stack.enter_context(running("aiohttp send_str", send_str, port, count, "websocket")))
        modules = ROOT.parent / "tests" / "js" / "node_modules"
        if (modules / "ws").exists():
            script = modules.parent / "ws_server.mjs"
            script.write_text((ROOT / "baselines" / "ws_server.mjs").read_text())
            stack.callback(script.unlink)
            port = free_port()
            node = ["node", str(script), str(port), str(count), str(size)]
            found.append(stack.enter_context(running("Node ws", node, port, count, "websocket")))
        yield found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--receivers", type=int, default=1000)
    parser.add_argument("--messages", type=int, default=100)
    parser.add_argument("--size", type=int, default=150, help="bytes of a frame on the wire")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures: dict[str, list[float]] = {}
    with variants(options.receivers, options.size) as servers:
        for round_number in range(options.rounds + 1):
            for variant in servers:
                orders = {variant.name: f"{options.messages}"}
                if variant.name == "Hubbub":
                    orders[f"Hubbub, bursts of {BURST}"] = f"{options.messages}/{BURST}"
                for name, order in orders.items():
                    used = variant.measure_us(order) / (options.messages * options.receivers)
                    if round_number:  # the first round warms up
                        figures.setdefault(name, []).append(used)
            print(f"round {round_number} of {options.rounds} done", file=sys.stderr, flush=True)
    floor = statistics.median(figures["C send() loop"])
    print(f"{options.receivers} receivers, {options.size} bytes a frame, median of {options.rounds} rounds")
    print(f"{'':24}{'µs CPU/delivery':>16}{'spread':>16}{'ratio':>8}")
    for name, values in figures.items():
        median = statistics.median(values)
        print(f"{name:24}{median:>16.2f}{f'{min(values):.2f}–{max(values):.2f}':>16}{median / floor:>8.2f}")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(
            json.dumps({"options": vars(options), "us_per_delivery": figures}, default=str, indent=1)
        )


if __name__ == "__main__":
    main()
