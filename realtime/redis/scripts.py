"""The Lua scripts, read from the package and known to Redis by their digest."""

from dataclasses import dataclass
from hashlib import sha1
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Script:
    name: str
    source: bytes
    digest: bytes
    """What EVALSHA calls it by."""


def load_script(*names: str) -> Script:
    """Read `lua/<name>.lua`, after the files it needs, if any: functions are shared by being put in front."""
    folder = files("realtime.redis") / "lua"
    source = b"\n".join((folder / f"{name}.lua").read_bytes() for name in names)
    digest = sha1(source, usedforsecurity=False).hexdigest().encode()
    return Script(names[-1], source, digest)
