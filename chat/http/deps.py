"""What the HTTP side is made of. The composition root fills it in; nothing here opens or closes anything."""

from collections.abc import Callable
from dataclasses import dataclass

from chat.auth.origin import OriginCheck
from chat.auth.verifier import TokenVerifier
from chat.backend.plain import PlainChannels
from chat.calls import Calls
from chat.config import Secret
from chat.control.restricting import Restricting
from chat.http.addresses import ClientAddresses
from chat.limits.opening import RateLimits
from chat.usecases.files import Files
from realtime.engine import Engine
from realtime.ports import Presence, Streams
from storage.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpDeps:
    """The parts of a process that answer over HTTP.

    `verifier` is the one for connection tokens: a REST call shows the same token as a connect. `docs_url` is where
    problem types point to, with the code's slug as anchor. `clock_ms` gives ms UTC, `monotonic` seconds. `node` is this
    machine's name; `version` goes into `info`. `max_data_bytes` bounds what the server API publishes, as it does what
    clients publish: every receiver has to take it in one frame.
    """

    calls: Calls
    store: Store
    verifier: TokenVerifier
    plain: PlainChannels
    files: Files | None
    engine: Engine
    streams: Streams
    presence: Presence
    origins: OriginCheck
    api_key: Secret
    addresses: ClientAddresses
    limits: RateLimits
    restricting: Restricting
    process: str
    node: str
    version: str
    clock_ms: Callable[[], int]
    monotonic: Callable[[], float]
    max_body_bytes: int = 1024**2
    max_data_bytes: int = 64 * 1024
    docs_url: str = "/docs/reference"
