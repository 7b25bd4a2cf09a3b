"""Where the emulators hand over what they accepted: the one word between them and the handsets. Pure."""

from collections.abc import Mapping
from typing import Literal, Protocol, TypeAlias

Brought: TypeAlias = Literal["apns", "fcm", "webpush", "webhook"]


class Screen(Protocol):
    """A handset, or all of them."""

    def show(self, brought: Brought, address: str, headers: Mapping[str, str], payload: bytes) -> None:
        """Called once for each push that an emulator has accepted, before it answers. Waits for nothing.

        `address`: the device token, the registration token or installation id, or the subscription's URL. `headers`:
        those of the request, names in lower case (`apns-collapse-id`, `ttl`, `topic`; of FCM none count). `payload`:
        of APNs the body; of FCM the JSON of `message`; of Web Push what was decrypted; of a webhook the body.
        An address that no handset has is passed over.
        """
