"""Credentials of an app with a provider, as they are stored: sealed, with what may be said of them beside."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from storage.model.device import ProviderName


@dataclass(frozen=True, slots=True)
class PushApp:
    """One key of an app. `name` tells its keys apart; `about` may be shown to operators, and is all that may."""

    provider: ProviderName
    app: str
    name: str
    sealed: str = field(repr=False)
    about: Mapping[str, str]
    created_at: int

    @property
    def key(self) -> str:
        """The row's id, and what its secret is bound to."""
        return push_app_key(self.provider, self.app, self.name)


def push_app_key(provider: str, app: str, name: str) -> str:
    """Apps and names may contain anything that could stand between them."""
    return f"{provider}|{len(app)}:{app}{name}"
