"""How emulators on this machine are sent to in place of the vendors: settings made of where they are."""

import ssl
from dataclasses import replace

from chat.push.apns import Place, tls
from chat.push.lab.apns_tls import HOST
from chat.push.lab.whereabouts import Whereabouts
from chat.push.sending import Environment
from chat.push.vendors import VendorSettings

_LOOPBACK = "127.0.0.1"


def vendors_at(where: Whereabouts, settings: VendorSettings | None = None) -> VendorSettings:
    """These settings, leading there. Nothing goes to Apple or Google then; browsers' real push services can still be
    reached. The app's row has the emulator of Web Push among its `origins`.
    """
    settings = settings or VendorSettings()
    trust = ssl.create_default_context()
    trust.load_verify_locations(cadata=where.webpush_pem)
    return replace(
        settings,
        apns_places={
            environment: Place(HOST, port, tls(ssl.create_default_context(cadata=where.apns_pem)), _LOOPBACK)
            for environment, port in _ports(where).items()
        },
        fcm=replace(settings.fcm, endpoint=where.fcm_url, plain_http=True),
        trust=trust,
        loopback=True,
    )


def _ports(where: Whereabouts) -> dict[Environment, int]:
    return {"production": where.apns_ports["production"], "sandbox": where.apns_ports["sandbox"]}
