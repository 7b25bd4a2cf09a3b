"""The keys of `[push]`: when a worker tells devices of what is unread, and how much it says."""

from dataclasses import dataclass
from typing import Annotated

from chat.config.keys import Rule
from chat.config.values import Seconds

_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class PushSection:
    enabled: Annotated[
        bool, Rule("Have workers send notifications, once an app was added (`hubbub push app add`).")
    ] = True
    content: Annotated[
        str,
        Rule(
            "What notifications say, for users who have not chosen themselves. `full`: sender, conversation and text. "
            "`sender_only`: no text. `generic`: that there is something. `id_only`: the app fetches what to say. "
            "`encrypted`: everything, for the device alone.",
            choices=("full", "sender_only", "generic", "id_only", "encrypted"),
        ),
    ] = "full"
    link: Annotated[
        str,
        Rule(
            "What a tap on a notification opens in a browser, with `{conversation}` in it, for example "
            "`https://chat.example.org/c/{conversation}`. Empty: the app decides."
        ),
    ] = ""
    life: Annotated[
        Seconds, Rule("For how long something is worth telling.", minimum=60.0, maximum=7 * 24 * _HOUR_S)
    ] = 4 * _HOUR_S
    delay: Annotated[
        Seconds,
        Rule("How long a message waits that may be read, edited or deleted at once.", minimum=0.0, maximum=60.0),
    ] = 1.5
    confirm_wait: Annotated[
        Seconds,
        Rule(
            "How long a connected device, or one with the conversation on screen, is given to confirm that it has the "
            "message.",
            minimum=1.0,
            maximum=60.0,
        ),
    ] = 5.0
    elsewhere_wait: Annotated[
        Seconds,
        Rule(
            "How long a device waits while the user has the app in front on another one, or it is connected in the "
            "background itself.",
            minimum=1.0,
            maximum=600.0,
        ),
    ] = 20.0
    quiet_gap: Annotated[
        Seconds,
        Rule(
            "A device that has rung for a conversation makes no sound for it for so long.", minimum=0.0, maximum=_HOUR_S
        ),
    ] = 10.0
    loud_per_minute: Annotated[
        int, Rule("Sounds of one device in a minute; what comes beyond is shown without.", minimum=0, maximum=1000)
    ] = 20
    large_group: Annotated[
        int,
        Rule(
            "In conversations with more members only mentions are told, to all who have not asked for everything.",
            minimum=2,
            maximum=1_000_000,
        ),
    ] = 200
    concurrency: Annotated[
        int,
        Rule(
            "Pushes of one app at one provider that are under way at a time, in each worker.", minimum=1, maximum=1000
        ),
    ] = 50
