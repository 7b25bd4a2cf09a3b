"""CPU per delivery: one process, one channel, many receivers; beside the floor and others' servers, in the same rounds.

The servers are pinned to one core, the receivers to another. CPU is the server process' own (user and system).
"""

import importlib.util
import os
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.suite import Figure, Run, Scenario, main

HERE: Final = Path(__file__).parent
BASELINES: Final = HERE / "baselines"
NODE_MODULES: Final = HERE.parent / "tests" / "js" / "node_modules"
SERVER_CORE: Final = 0
RECEIVER_CORE: Final = 1
PAUSE_MS: Final = 1
"""Between messages: the server waits for the next one as it does in life."""

FLOOR: Final = "C send() loop"
FLOOR_KERNEL: Final = "C send() loop, the kernel's part"
JSON: Final = "Hubbub, JSON"
JSON_KERNEL: Final = "Hubbub, JSON, the kernel's part"
PROTOBUF: Final = "Hubbub, Protobuf"
HALVES: Final = "Hubbub, half JSON and half Protobuf"
BURSTS: Final = "Hubbub, JSON, in bursts"
TRANSPORT_WRITE: Final = "Python, transport.write in a loop"
OS_WRITE: Final = "Python, os.write in a loop"
SEND_STR: Final = "aiohttp, send_str"
WS: Final = "Node ws"
SOCKET_IO: Final = "Socket.IO"
PYTHON_SOCKET_IO: Final = "python-socketio"
RECEIVERS: Final = "the receivers of the C loop"


def masked(opcode: int, payload: bytes) -> bytes:
    """A client's frame, masked with zeros."""
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + struct.pack("!I", 0) + payload


def handshake(path: str, protocol: str = "") -> bytes:
    chosen = f"Sec-WebSocket-Protocol: {protocol}\r\n" if protocol else ""
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{chosen}"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ).encode()


@dataclass(frozen=True)
class Client:
    """What a receiver says at first, and after the handshake."""

    request: bytes = b""
    hello: bytes = b""


RAW: Final = Client()
PLAIN: Final = Client(handshake("/"))
JSON_CLIENT: Final = Client(handshake("/connection/websocket"), masked(1, b'{"id":1,"connect":{"token":"bench"}}'))
# The same command in Protobuf: a length, then id 1 and connect (field 4) with the token (field 1).
PROTOBUF_CLIENT: Final = Client(
    handshake("/connection/websocket", "centrifuge-protobuf"),
    masked(2, b"\x0b\x08\x01\x22\x07\x0a\x05bench"),
)
SOCKET_IO_CLIENT: Final = Client(handshake("/socket.io/?EIO=4&transport=websocket"), masked(1, b"40"))


@dataclass(frozen=True)
class Used:
    """CPU of an order of messages, in microseconds: the server's own, the kernel's for it, the receivers'."""

    own_us: float
    kernel_us: float
    received_bytes: float
    receivers_us: float

    @property
    def both_us(self) -> float:
        return self.own_us + self.kernel_us


@dataclass
class Server:
    """A server, and its receivers once they are connected."""

    name: str
    command: Sequence[str]
    clients: Sequence[Client]
    port: int
    smallest: float = 0.95
    """A frame's size on the wire is this part of the asked size at least."""
    process: "subprocess.Popen[str]" = field(init=False)
    receivers: "list[subprocess.Popen[str]]" = field(default_factory=list, init=False)

    def start(self, stack: ExitStack) -> None:
        self.process = spawned(stack, self.command, SERVER_CORE)

    def connect(self, stack: ExitStack, count: int, program: Path) -> None:
        """Raises SystemExit when either side ends meanwhile."""
        said = expect(self.process, "listening", self.name).split()
        self.port = int(said[1]) if len(said) > 1 else self.port
        for number, client in enumerate(self.clients):
            files = [program.parent / f"{self.port}-{number}-{part}" for part in ("request", "hello")]
            files[0].write_bytes(client.request)
            files[1].write_bytes(client.hello)
            share = count // len(self.clients)
            self.receivers.append(spawned(stack, [program, self.port, share, *files], RECEIVER_CORE))

    def wait(self) -> None:
        for receivers in self.receivers:
            expect(receivers, "connected", f"the receivers of {self.name}")
        expect(self.process, "ready", self.name)

    def order(self, messages: int, together: int = 1) -> Used:
        """Have so many messages sent and received."""
        for receivers in self.receivers:
            tell(receivers, "begin")
        line = f"{messages // together} {PAUSE_MS}" + (f" {together}" if together > 1 else "")
        own_us, kernel_us = map(float, asked(self.process, line, self.name).split())
        told = [asked(one, "end", f"one of the receivers of {self.name}").split() for one in self.receivers]
        return Used(own_us, kernel_us, sum(float(size) for size, _ in told), sum(float(used) for _, used in told))


def spawned(stack: ExitStack, command: Sequence[object], core: int) -> "subprocess.Popen[str]":
    """Killed with the stack."""
    process = subprocess.Popen(
        list(map(str, command)),
        cwd=HERE.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {core % (os.cpu_count() or 1)}),
    )
    stack.callback(process.wait)
    stack.callback(process.kill)
    return process


def expect(process: "subprocess.Popen[str]", word: str, name: str) -> str:
    assert process.stdout is not None
    while not (line := process.stdout.readline()).startswith(word):
        if not line:
            raise SystemExit(f"{name} ended before it said {word!r}")
    return line.strip()


def tell(process: "subprocess.Popen[str]", line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def asked(process: "subprocess.Popen[str]", line: str, name: str) -> str:
    tell(process, line)
    assert process.stdout is not None
    if not (said := process.stdout.readline()):
        raise SystemExit(f"{name} ended")
    return said


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def compiled(name: str, directory: Path) -> Path:
    subprocess.run(["cc", "-O2", "-o", directory / name, BASELINES / f"{name}.c"], check=True)
    return directory / name


def hub(name: str, count: int, size: int, codec: str, clients: Sequence[Client], directory: Path) -> Server:
    folder = directory / name.replace(" ", "-")
    folder.mkdir()
    command = [sys.executable, "-m", "bench.hub_server", str(count), str(size), codec, str(folder)]
    return Server(name, command, clients, 0)


def all_servers(count: int, size: int, directory: Path) -> list[Server]:
    def other(name: str, client: Client, *command: str) -> Server:
        port = free_port()
        return Server(name, [*command, str(port), str(count), str(size)], [client], port)

    found = [
        other(FLOOR, RAW, str(compiled("send_loop", directory))),
        hub(JSON, count, size, "json", [JSON_CLIENT], directory),
        hub(PROTOBUF, count, size, "protobuf", [PROTOBUF_CLIENT], directory),
        hub(HALVES, count, size, "json", [JSON_CLIENT, PROTOBUF_CLIENT], directory),
        other(SEND_STR, PLAIN, sys.executable, str(BASELINES / "aiohttp_send_str.py")),
    ]
    for name, kind in ((TRANSPORT_WRITE, "transport"), (OS_WRITE, "os")):
        found.append(other(name, RAW, sys.executable, str(BASELINES / "bare_write.py"), kind))
    found[3].smallest = 0.75  # the Protobuf half has smaller frames around the same data
    if (NODE_MODULES / "ws").exists():
        found.append(other(WS, PLAIN, "node", str(BASELINES / "ws_server.mjs")))
    if (NODE_MODULES / "socket.io").exists():
        found.append(other(SOCKET_IO, SOCKET_IO_CLIENT, "node", str(BASELINES / "socketio_server.mjs")))
    if importlib.util.find_spec("socketio") is not None:
        script = str(BASELINES / "python_socketio.py")
        found.append(other(PYTHON_SOCKET_IO, SOCKET_IO_CLIENT, sys.executable, script))
    return found


@contextmanager
def running(count: int, size: int) -> Iterator[list[Server]]:
    """All servers at once with their receivers; only the one that is measured has work."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hubbub-bench-")))
        servers = all_servers(count, size, directory)
        program = compiled("receivers", directory)
        for server in servers:
            server.start(stack)
        for server in servers:
            server.connect(stack, count, program)
        for server in servers:
            server.wait()
        yield servers


def measure(run: Run) -> None:
    options = run.options
    for count in options.receivers:
        messages = max(options.burst, options.deliveries // count // options.burst * options.burst)
        run.say(f"{count} receivers connect to each server")
        with running(count, options.size) as servers:
            run.notes["not there"] = ", ".join(missing(servers)) or "nobody"
            for _ in run.rounds(warm=1):
                for server in servers:
                    one_by_one(run, server, count, messages)
                    if server.name == JSON:
                        used = server.order(messages, options.burst)
                        run.add(BURSTS, used.both_us / messages / count, at=count)


def one_by_one(run: Run, server: Server, count: int, messages: int) -> None:
    used = server.order(messages)
    deliveries = messages * count
    if used.received_bytes < deliveries * run.options.size * server.smallest:
        raise SystemExit(f"{server.name}: of {deliveries} deliveries only {used.received_bytes:.0f} bytes came")
    run.add(server.name, used.both_us / deliveries, at=count)
    if server.name == FLOOR:
        run.add(FLOOR_KERNEL, used.kernel_us / deliveries, at=count)
        run.add(RECEIVERS, used.receivers_us / deliveries, at=count)
    elif server.name == JSON:
        run.add(JSON_KERNEL, used.kernel_us / deliveries, at=count)


def missing(servers: Sequence[Server]) -> list[str]:
    """Who is not installed."""
    there = {server.name for server in servers}
    return [name for name in (WS, SOCKET_IO, PYTHON_SOCKET_IO) if name not in there]


UNIT: Final = "µs"
PARTS: Final = "parts, µs"

SCENARIO = Scenario(
    name="fanout",
    title="Fan-out: CPU of a delivery",
    about="One process, one channel; every message goes to all receivers in frames of 150 bytes. CPU of the server, "
    "per message and receiver. Messages come one by one, or ten together.",
    figures=[
        Figure(JSON, UNIT, baseline=FLOOR, goal_ratio=1.15, goal_at=1000),
        Figure(PROTOBUF, UNIT, baseline=FLOOR, goal_ratio=1.15, goal_at=1000),
        Figure(HALVES, UNIT, baseline=FLOOR, goal_ratio=1.15, goal_at=1000),
        Figure(BURSTS, UNIT, baseline=FLOOR, goal_ratio=1.0, goal_at=1000),
        Figure(FLOOR, UNIT),
        *(Figure(name, UNIT, baseline=FLOOR) for name in (OS_WRITE, TRANSPORT_WRITE, SEND_STR, WS)),
        *(Figure(name, UNIT, baseline=FLOOR) for name in (SOCKET_IO, PYTHON_SOCKET_IO)),
        Figure(FLOOR_KERNEL, UNIT, "", chart=PARTS),
        Figure(JSON_KERNEL, UNIT, "", baseline=FLOOR_KERNEL, chart=PARTS),
        Figure(RECEIVERS, UNIT, "", baseline=FLOOR, chart=PARTS),
    ],
    measure=measure,
    sizes="receivers",
    full={"receivers": (10, 100, 1000, 5000), "deliveries": 50_000, "size": 150, "burst": 10},
    quick={"receivers": (10, 100, 1000), "deliveries": 10_000},
)

if __name__ == "__main__":
    main(SCENARIO)
