"""One call of a method on behalf of a user, the same for REST, `/v1/rpc` and the server API's `rpc`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from chat.methods import Method
from chat.metrics.methods import MethodStats
from chat.usecases.service import Service
from realtime.protocol.codes import ClientError


@dataclass(frozen=True, slots=True)
class Calls:
    """Runs methods and measures them."""

    service: Service
    stats: MethodStats
    monotonic: Callable[[], float]

    async def run(self, user: str, method: Method, request: Any) -> Struct:
        """The result of the method. Raises what it raises; cancelling gives up waiting, not what was begun."""
        started = self.monotonic()
        try:
            outcome = await method.run(self.service, user, request)
            result = outcome if isinstance(outcome, Struct) else await outcome
        except ClientError as error:
            self.stats.failed(method.name, error.code.slug)
            raise
        finally:
            took_s = self.monotonic() - started
            self.stats.duration[method.name].observe(took_s)
        if method.name == "message.send":
            self.stats.ack.observe(took_s)
        return result
