"""Where the emulators of a machine are: a file by which other processes find them. Has a secret in it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

LAB_VARIABLE: Final = "HUBBUB_LAB"
"""Names the file to the processes of `hubbub dev`. Whoever has it sends to emulators, and to nobody else."""


class NoWhereabouts(ValueError):
    """The file is not there, or is something else. `str()` is one line."""


class Whereabouts(msgspec.Struct, frozen=True):
    """`apns_ports` by environment; `apns_pem` and `webpush_pem` are the authorities that vouch for them. `webpush_host`
    has its port. `phones_url` is where the phones are seen and switched, by whoever brings `phones_secret`.
    """

    apns_ports: Mapping[str, int]
    apns_pem: str
    fcm_url: str
    webpush_host: str
    webpush_pem: str
    phones_url: str
    phones_secret: str

    def __repr__(self) -> str:
        return f"Whereabouts({self.phones_url})"

    def dumped(self) -> str:
        """The text of the file."""
        return msgspec.json.format(msgspec.json.encode(self)).decode() + "\n"


def whereabouts(environ: Mapping[str, str] = os.environ) -> Whereabouts | None:
    """What HUBBUB_LAB leads to, None without it. Raises NoWhereabouts."""
    if not (name := environ.get(LAB_VARIABLE)):
        return None
    try:
        return msgspec.json.decode(Path(name).read_bytes(), type=Whereabouts)
    except OSError as error:
        raise NoWhereabouts(f"{LAB_VARIABLE}: cannot read {name}: {error.strerror}") from error
    except msgspec.MsgspecError:
        raise NoWhereabouts(f"{LAB_VARIABLE}: {name} is not what `hubbub dev` writes") from None
