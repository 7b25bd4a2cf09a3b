"""The servers of the list as seen by requests: a channel, user or process -> the server that keeps it."""

from collections.abc import Sequence

from realtime.redis.commands import Commands
from realtime.redis.routing import Routing


class Servers:
    """`all` in the order of the list."""

    def __init__(self, commands: Sequence[Commands], routing: Routing) -> None:
        self.all = tuple(commands)
        self._routing = routing

    def of(self, name: str) -> Commands:
        """The server of a channel: the same for its bus, its stream and its presence."""
        return self.all[self._routing.server_of(name)]
