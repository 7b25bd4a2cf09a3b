"""The names of everything this package keeps in Redis: channels of the bus, keys of streams and presence. Pure.

The prefix separates deployments that share a server. Only names of one's own making end a key, and where two foreign
names meet in one key, the first is preceded by its length: no channel can be chosen so that it means another's key.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Keys:
    prefix: str

    # --- the bus ---

    def channel(self, channel: str) -> bytes:
        return f"{self.prefix}c:{channel}".encode()

    def process_control(self, process: str) -> bytes:
        return f"{self.prefix}p:{process}".encode()

    @property
    def all_control(self) -> bytes:
        return f"{self.prefix}all".encode()

    def heartbeat(self, process: str) -> bytes:
        return f"{self.prefix}b:{process}".encode()

    # --- streams ---

    def stream(self, channel: str) -> bytes:
        return f"{self.prefix}stream:{channel}".encode()

    def stream_meta(self, channel: str) -> bytes:
        return f"{self.prefix}stream_meta:{channel}".encode()

    def once(self, channel: str, idempotency_key: str) -> bytes:
        return f"{self.prefix}once:{len(channel)}:{channel}:{idempotency_key}".encode()

    def claim(self, name: str) -> bytes:
        return f"{self.prefix}claim:{name}".encode()

    def rate(self, name: str) -> bytes:
        """A token bucket that all processes take from."""
        return f"{self.prefix}rate:{name}".encode()

    def client_states(self, user: str) -> bytes:
        """What the user's devices say of themselves, by device."""
        return f"{self.prefix}client:{user}".encode()

    def device_connections(self, user: str) -> bytes:
        """Which of the user's devices are connected, by device."""
        return f"{self.prefix}devices:{user}".encode()

    # --- presence of a channel: infos by client, expiry by client, number of clients by user ---

    def presence(self, channel: str) -> tuple[bytes, bytes, bytes]:
        return (
            f"{self.prefix}presence:{channel}".encode(),
            f"{self.prefix}presence_expiry:{channel}".encode(),
            f"{self.prefix}presence_users:{channel}".encode(),
        )

    # --- users and processes ---

    def online(self, bucket: int) -> bytes:
        """Users by the ids of the processes that hold a connection of theirs."""
        return f"{self.prefix}online:{bucket}".encode()

    @property
    def leaving(self) -> bytes:
        """Users without a connection, by the time when they left, until others have been told."""
        return f"{self.prefix}leaving".encode()

    @property
    def telling(self) -> bytes:
        """Users of whom others are just being told that they have gone, by the time when somebody else may try."""
        return f"{self.prefix}telling".encode()

    @property
    def holders(self) -> bytes:
        """Processes that had users, by their last sign of life, until their users have been seen to."""
        return f"{self.prefix}holders".encode()

    @property
    def online_since(self) -> bytes:
        """Since when this server knows who is online."""
        return f"{self.prefix}online_since".encode()

    @property
    def processes(self) -> bytes:
        """The set of process ids that ever were alive and have not been found dead yet."""
        return f"{self.prefix}processes".encode()

    def process(self, process: str) -> bytes:
        """The lease of a process."""
        return f"{self.prefix}process:{process}".encode()

    @property
    def process_prefix(self) -> bytes:
        """What a script puts before a process id to get its lease."""
        return f"{self.prefix}process:".encode()
