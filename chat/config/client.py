"""The keys of `[client]`: what a connection may do and how long it may take."""

from dataclasses import dataclass, field
from typing import Annotated

from chat.config.keys import Rule, Table
from chat.config.values import Bytes, Seconds


@dataclass(frozen=True, slots=True)
class PersonalChannelSection:
    enabled: Annotated[
        bool,
        Rule(
            "Subscribe every signed-in connection to the channel `#<user>` on the server side, for application events."
        ),
    ] = False
    personal_channel_namespace: Annotated[
        str, Rule("Namespace of that channel (`<namespace>:#<user>`). Empty: without namespace.")
    ] = ""


@dataclass(frozen=True, slots=True)
class ClientSection:
    allowed_origins: Annotated[
        tuple[str, ...],
        Rule(
            "Origins of web pages that may connect, such as `https://app.example.com` or "
            '`https://*.example.com`. Empty: pages of this server only. `"*"`: any. Native apps send no Origin '
            "and are not concerned."
        ),
    ] = ()
    insecure: Annotated[
        bool,
        Rule(
            "Everyone may connect without token and subscribe, publish, read presence and history everywhere "
            "but in conversations. For tests."
        ),
    ] = False
    allow_anonymous_connect_without_token: Annotated[
        bool,
        Rule(
            "Accept connections without token, or whose token has no `sub`. They have no user, no "
            "conversations, and in channels only what `allow_*_for_anonymous` gives."
        ),
    ] = False
    stale_close_delay: Annotated[
        Seconds,
        Rule(
            "Time from the upgrade to the connect command; later the socket is closed with 4000, which "
            "reconnects. Several SDKs fetch their token with the socket open, so a short time logs users out.",
            minimum=0.1,
            maximum=300.0,
        ),
    ] = 25.0
    ping_interval: Annotated[
        Seconds,
        Rule(
            "How often the server pings. Below the idle time-out of every proxy on the way.", minimum=1.0, maximum=600.0
        ),
    ] = 25.0
    pong_timeout: Annotated[
        Seconds,
        Rule("Time for the answer to a ping, then 3012. Shorter than `ping_interval`.", minimum=0.1, maximum=300.0),
    ] = 10.0
    expired_close_delay: Annotated[
        Seconds, Rule("Time to refresh an expired connection token before the socket is closed with 3005.", minimum=0.0)
    ] = 25.0
    expired_sub_close_delay: Annotated[
        Seconds, Rule("Time to refresh an expired subscription token before the subscription ends.", minimum=0.0)
    ] = 25.0
    connection_limit: Annotated[
        int, Rule("Connections of one process; further ones get 503 and Retry-After. 0: no limit.", minimum=0)
    ] = 50_000
    user_connection_limit: Annotated[
        int,
        Rule(
            "Connections of one user to one process, however many begin at once; further ones are closed with 3504. "
            "With n processes a user may have n times as many. 0: no limit.",
            minimum=0,
        ),
    ] = 0
    access_check_interval: Annotated[
        Seconds,
        Rule(
            "How often every process asks MongoDB what it may not have been told: users blocked, tokens revoked, "
            "members gone. With Redis up it is told at once.",
            minimum=0.2,
            maximum=60.0,
        ),
    ] = 2.0
    channel_limit: Annotated[
        int,
        Rule("Subscriptions that one connection may ask for; further ones get error 106.", minimum=1, maximum=10_000),
    ] = 1000
    queue_max_size: Annotated[
        Bytes,
        Rule(
            "What may wait for a slow client, then it is closed with 3008 and resumes from the log.", minimum=64 * 1024
        ),
    ] = 1024**2
    frame_max_size: Annotated[
        Bytes,
        Rule(
            "Largest frame a client may send; a larger one closes with 1009.", minimum=64 * 1024, maximum=16 * 1024**2
        ),
    ] = 1024**2
    command_data_max_size: Annotated[
        Bytes, Rule("Largest data of one publish or rpc; more gets error 107.", minimum=1024, maximum=1024**2)
    ] = 64 * 1024
    history_max_publication_limit: Annotated[
        int, Rule("Most publications of a channel that one history command returns.", minimum=1, maximum=10_000)
    ] = 300
    recovery_max_publication_limit: Annotated[
        int,
        Rule(
            "Most missed publications of a channel that a resume returns; more is `recovered: false`.",
            minimum=1,
            maximum=10_000,
        ),
    ] = 300
    conversations_on_connect: Annotated[
        int, Rule("Conversations a connection is subscribed to by newest activity.", minimum=0, maximum=1000)
    ] = 200
    conversations_to_recover: Annotated[
        int,
        Rule("Conversations that a reconnecting client may name to resume; they come first.", minimum=0, maximum=1000),
    ] = 500
    subscribe_to_user_channel: Annotated[
        bool,
        Rule(
            "Subscribe every signed-in connection to `user:<user>` on the server side, where changes of its inbox are "
            "told. False: for clients written for Centrifugo that expect no subscriptions but their own; they may "
            "subscribe to it themselves."
        ),
    ] = True
    subscribe_to_user_personal_channel: Annotated[
        PersonalChannelSection, Table("A channel of their own for every user.")
    ] = field(default_factory=PersonalChannelSection)
