"""Whether a browser's subscription leads to a push service: to a usual one, or to one that the operator has added to
the app. And the key that a browser subscribes with. Neither is a secret, so nothing has to be opened to read them.
"""

from typing import Final

from chat.push.webpush.origins import allowed_origins, check_endpoint
from storage.store import Store

ORIGINS: Final = "origins"
"""Where the credentials of an app tell of extra origins, with spaces between."""

PUBLIC: Final = "public"
"""Where the credentials of an app tell of the public key (VAPID), as base64url."""


class Endpoints:
    def __init__(self, store: Store, *, loopback: bool = False) -> None:
        self._store = store
        self._loopback = loopback

    async def check(self, app: str, endpoint: str) -> None:
        """Raises Forbidden (an OSError), whose text says by which rule, and StorageError."""
        try:
            check_endpoint(endpoint, allowed_origins(loopback=self._loopback))
        except OSError:
            extras = await self._extras(app)
            if not extras:
                raise
            check_endpoint(endpoint, allowed_origins(extras, loopback=self._loopback))

    async def vapid_key(self, app: str) -> str | None:
        """That of the app's newest key; None: it has none. Raises StorageError.

        Browsers that have subscribed with the one before are reached as long as that is kept.
        """
        keys = await self._store.push_apps.of("webpush", app)
        return keys[0].about[PUBLIC] if keys else None

    async def _extras(self, app: str) -> tuple[str, ...]:
        keys = await self._store.push_apps.of("webpush", app)
        return tuple({origin: None for key in keys for origin in key.about.get(ORIGINS, "").split()})
