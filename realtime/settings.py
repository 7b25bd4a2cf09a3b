"""How connections are treated: what whoever opens the engine may choose."""

from dataclasses import dataclass, field

from realtime.protocol.machine import ConnectionSettings
from realtime.rates import ConnectionRates


@dataclass(frozen=True, slots=True)
class Settings:
    """How connections are treated. Sizes in bytes, times in seconds."""

    connection: ConnectionSettings = field(default_factory=ConnectionSettings)
    rates: ConnectionRates = field(default_factory=ConnectionRates)
    max_queued_bytes: int = 1024 * 1024
    max_frame_bytes: int = 1024 * 1024
    max_channels: int = 1_000
    max_presence_entries: int = 1_000
    max_history_publications: int = 300
    max_reply_bytes: int = 48 * 1024
    max_recovery_channel_bytes: int = 1024 * 1024
    max_recovery_session_bytes: int = 4 * 1024 * 1024
    expired_subscription_grace_s: float = 25.0
