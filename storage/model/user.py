"""Users. The application owns them; they are created on first sight."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Privacy:
    """What others may see of a user. Who does not show their own receipts does not see those of others."""

    receipts: bool = True
    presence: bool = True


@dataclass(frozen=True, slots=True)
class User:
    """One user. `revision` counts the private changes (membership, read positions) of all the user's conversations."""

    id: str
    name: str
    avatar_url: str
    locale: str
    custom: Mapping[str, Any]
    last_seen_at: int | None
    revision: int
    created_at: int
    privacy: Privacy = Privacy()
