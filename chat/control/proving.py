"""At the start: that the keys of `secrets.keys` open what is sealed in this database."""

from typing import Final

from chat.config import ConfigError, Problem
from chat.sealing import Sealer, SealingError
from storage.store import Store

ABOUT: Final = "meta/sealing"

_PLAIN: Final = b"hubbub"


async def prove(store: Store, sealer: Sealer) -> None:
    """A value that is sealed like the secrets shows whether those can be opened, before one is needed. It is sealed
    anew by the present key.

    Raises ConfigError when they cannot be, StorageError.
    """
    sealed = await store.sealing.get()
    if sealed is None and sealer:
        await store.sealing.swap(None, sealer.seal(_PLAIN, about=ABOUT))
        # Another process may have been first, with another key.
        sealed = await store.sealing.get()
    if sealed is None:
        return
    try:
        sealer.open(sealed, about=ABOUT)
        if sealer.is_stale(sealed):
            await store.sealing.swap(sealed, sealer.reseal(sealed, about=ABOUT))
    except SealingError as error:
        rule = f"what is sealed in this database cannot be opened: {error}. Put it back, behind the present one"
        raise ConfigError([Problem("secrets.keys", rule)]) from None
