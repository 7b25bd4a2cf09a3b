"""Devices, what may ring, and what is on screen."""

from typing import Final

from chat.methods.method import Method
from chat.vocabulary import devices, shapes

METHODS: Final = (
    Method(
        "device.register",
        devices.DeviceRegister,
        devices.DeviceResult,
        lambda service, user, request: service.devices.register(user, request),
        "Have notifications sent to this device; to be repeated at every start of the app.",
    ),
    Method(
        "device.unregister",
        devices.DeviceUnregister,
        shapes.Done,
        lambda service, user, request: service.devices.unregister(user, request),
        "Have no more notifications sent to a device.",
    ),
    Method(
        "device.list",
        devices.DeviceList,
        devices.DevicesResult,
        lambda service, user, request: service.devices.list(user, request),
        "The devices to which the caller's notifications are sent.",
    ),
    Method(
        "push.vapid_key",
        devices.PushVapidKey,
        devices.PushVapidKeyResult,
        lambda service, user, request: service.devices.vapid_key(request),
        "The public key that browsers subscribe to Web Push with.",
    ),
    Method(
        "push.preferences",
        devices.PushPreferencesChange,
        devices.PushPreferencesResult,
        lambda service, user, request: service.notifying.preferences(user, request),
        "What rings on the caller's devices; what is given is changed.",
    ),
    Method(
        "client.state",
        devices.ClientState,
        devices.ClientStateResult,
        lambda service, user, request: service.client_states.put(user, request),
        "Say what is on screen, so that nothing rings for what is being looked at.",
    ),
)
