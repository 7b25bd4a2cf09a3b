"""Whether a browser's subscription leads to a push service: to a usual one, or to one that the operator has added to
the app. Extra origins are no secret, so nothing has to be opened to read them.
"""

from typing import Final

from chat.push.webpush.origins import allowed_origins, check_endpoint
from storage.store import Store

ORIGINS: Final = "origins"
"""Where the credentials of an app tell of extra origins, with spaces between."""


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

    async def _extras(self, app: str) -> tuple[str, ...]:
        keys = await self._store.push_apps.of("webpush", app)
        return tuple({origin: None for key in keys for origin in key.about.get(ORIGINS, "").split()})
