"""The keys of `[push]`: when a worker tells devices of what is unread, and how much it says."""

from dataclasses import dataclass, field
from typing import Annotated, Final

from chat.config.keys import Rule, Table
from chat.config.values import Bytes, Seconds

_HOUR_S: Final = 3600.0
_DAY_S: Final = 24 * _HOUR_S
LANGUAGES: Final = ("de", "en", "es", "fr", "it", "ja", "nl", "pl", "pt", "pt-pt", "tr")
_LEVELS: Final = ("passive", "active", "time-sensitive")


@dataclass(frozen=True, slots=True)
class LanesSection:
    failures: Annotated[
        int,
        Rule("After so many pushes in a row without an answer the lane pauses.", minimum=1, maximum=1000),
    ] = 8
    longest_pause: Annotated[
        Seconds,
        Rule("Pauses begin with two seconds (a minute for a key at fault) and double, up to this.", minimum=1.0),
    ] = 300.0
    gone: Annotated[
        int,
        Rule(
            "When of the last 200 devices more than so many are said to be gone, and more than `gone_percent`, no "
            "provider is believed any more, and no device is ended.",
            minimum=1,
            maximum=200,
        ),
    ] = 20
    gone_percent: Annotated[int, Rule("See `gone`; of the last 200.", minimum=0, maximum=100)] = 25


@dataclass(frozen=True, slots=True)
class ApnsSection:
    port: Annotated[
        int, Rule("Apple listens on 443 and, for firewalls that know of no other, on 2197.", minimum=1, maximum=65535)
    ] = 443
    connections: Annotated[
        int, Rule("Connections for each key, of each worker; the next one when all are full.", minimum=1, maximum=64)
    ] = 4
    streams: Annotated[
        int, Rule("Pushes at a time on one connection. Apple may allow fewer.", minimum=1, maximum=1000)
    ] = 128
    max_payload: Annotated[
        Bytes, Rule("What Apple takes. The text is cut until it fits.", minimum=1024, maximum=5120)
    ] = 4096
    sound: Annotated[str, Rule("The file in the app, or `default`.", pattern=r"[^/]{1,64}")] = "default"
    category: Annotated[
        str,
        Rule("Of notifications that can be answered and marked as read; the app registers it.", pattern=r".{1,64}"),
    ] = "hubbub.message"
    own_texts: Annotated[
        bool,
        Rule(
            "Where notifications say nothing of the message, have the app say it in its own words: `hubbub_title` and "
            "`hubbub_body` of its Localizable.strings."
        ),
    ] = False
    direct_level: Annotated[
        str,
        Rule(
            "How far direct messages interrupt. `time-sensitive` passes a focus, and takes an entitlement of the app.",
            choices=_LEVELS,
        ),
    ] = "active"
    mention_level: Annotated[str, Rule("The same for mentions.", choices=_LEVELS)] = "active"
    group_level: Annotated[str, Rule("The same for other messages in groups.", choices=_LEVELS)] = "active"


@dataclass(frozen=True, slots=True)
class FcmSection:
    display: Annotated[
        str,
        Rule(
            "Who draws notifications. `app`: the app's own code, which can take away what was read and open what is "
            "encrypted. `system`: Android, for apps without such code, and iPhones behind Firebase.",
            choices=("app", "system"),
        ),
    ] = "app"
    connections: Annotated[int, Rule("Connections of each app, of each worker.", minimum=1, maximum=1000)] = 128
    max_payload: Annotated[
        Bytes, Rule("What Firebase takes. The text is cut until it fits.", minimum=1024, maximum=4096)
    ] = 4096
    quota_pause: Annotated[
        Seconds,
        Rule("How long it is left alone when a quota is spent and it does not say for how long.", minimum=1.0),
    ] = 60.0


@dataclass(frozen=True, slots=True)
class WebPushSection:
    connections: Annotated[
        int, Rule("Connections of each app to all push services, of each worker.", minimum=1, maximum=1000)
    ] = 128
    connections_per_host: Annotated[
        int,
        Rule("Of these, to one push service: one that hangs leaves the rest to others.", minimum=1, maximum=1000),
    ] = 48
    max_payload: Annotated[
        Bytes, Rule("Firefox on Android takes little more; others up to 3993 bytes.", minimum=512, maximum=3993)
    ] = 2500
    max_ttl: Annotated[
        Seconds, Rule("For how long a push service may keep a notification.", minimum=0.0, maximum=30 * _DAY_S)
    ] = 30 * _DAY_S


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
    language: Annotated[
        str,
        Rule(
            "In which notifications are to devices that have not said a locale for which there are texts.",
            choices=LANGUAGES,
        ),
    ] = "en"
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
    timeout: Annotated[
        Seconds, Rule("How long a provider is waited for; then it is asked again.", minimum=1.0, maximum=15.0)
    ] = 10.0
    attempts: Annotated[
        int, Rule("A notification that failed so often becomes a dead letter.", minimum=1, maximum=20)
    ] = 5
    stale_after: Annotated[
        Seconds,
        Rule("A device that has not registered for so long is sent nothing any more.", minimum=_DAY_S),
    ] = 270 * _DAY_S
    lanes: Annotated[
        LanesSection, Table("When an app at a provider is left alone, and when the provider is not believed.")
    ] = field(default_factory=LanesSection)
    apns: Annotated[ApnsSection, Table("iPhone, iPad, Mac.")] = field(default_factory=ApnsSection)
    fcm: Annotated[FcmSection, Table("Firebase: Android.")] = field(default_factory=FcmSection)
    webpush: Annotated[WebPushSection, Table("Browsers, and phones with UnifiedPush.")] = field(
        default_factory=WebPushSection
    )
