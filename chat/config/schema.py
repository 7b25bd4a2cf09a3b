"""Every key of the configuration: its name, type, default, limits and meaning. Nothing else lists keys.

Where Centrifugo has the same option, the name is Centrifugo's, so that its users can move their namespaces as they are.
"""

from dataclasses import dataclass, field
from typing import Annotated, Final

from chat.config.channels import ChannelSection
from chat.config.keys import Rule, Table
from chat.config.uploads import UploadsSection
from chat.config.values import Bytes, Pem, Seconds, Secret, Url

NO_SECRET = Secret()
LOCAL_MONGODB = Url("mongodb://127.0.0.1:27017/?replicaSet=rs0")
LOCAL_REDIS = (Url("redis://127.0.0.1:6379"),)

HMAC_ALGORITHMS = ("HS256", "HS384", "HS512")
RSA_ALGORITHMS = ("RS256", "RS384", "RS512")
ALGORITHMS = (*HMAC_ALGORITHMS, *RSA_ALGORITHMS, "ES256", "ES384", "ES512", "EdDSA")


@dataclass(frozen=True, slots=True)
class ServerSection:
    host: Annotated[
        str, Rule("Address to listen on. Put 127.0.0.1 here when a proxy on the same machine is the only visitor.")
    ] = "0.0.0.0"  # noqa: S104 - a server in a container has to be reachable
    port: Annotated[int, Rule("Port to listen on. The variable `PORT` sets it too.", minimum=0, maximum=65535)] = 8000
    workers: Annotated[
        int,
        Rule(
            "Processes that share the port, one per core as a rule. The variable `WEB_CONCURRENCY` sets it too.",
            minimum=1,
            maximum=256,
        ),
    ] = 1
    public_url: Annotated[
        str,
        Rule(
            "How browsers reach this server, for example `https://chat.example.com`. Used in links that are "
            "printed, and allowed as an origin. Empty: `http://` and the host and port above.",
            pattern=r"https?://[^/?#\s]+/?",
        ),
    ] = ""
    node_name: Annotated[str, Rule("Name of this node in metrics and on the admin page. Empty: the host name.")] = ""
    shutdown_timeout: Annotated[
        Seconds,
        Rule(
            "Longest time from SIGTERM to the end. Sockets are closed with 3001, which reconnects elsewhere, "
            "and what is being written is finished. Keep it below the 30 s that most platforms wait before they"
            " kill.",
            minimum=1.0,
            maximum=600.0,
        ),
    ] = 25.0
    metrics_token: Annotated[
        Secret,
        Rule("What a scraper must send to `/metrics` as `Authorization: Bearer`. Empty: open to whoever reaches it."),
    ] = NO_SECRET
    allow_insecure_options: Annotated[
        bool,
        Rule(
            "The second yes. `hubbub serve` refuses to start while an option that lets strangers in is set "
            "(`client.insecure`, anonymous connects, `token.require_exp = false`, short keys) unless this is "
            "true as well."
        ),
    ] = False


@dataclass(frozen=True, slots=True)
class MongodbSection:
    url: Annotated[
        Url,
        Rule(
            "Connection string of a replica set (of one member is enough). The variable `MONGODB_URL` sets it too.",
            required=True,
        ),
    ] = LOCAL_MONGODB
    database: Annotated[
        str, Rule("Database. Another name is another deployment.", pattern=r"[A-Za-z0-9_-]{1,38}", required=True)
    ] = "hubbub"


@dataclass(frozen=True, slots=True)
class RedisSection:
    urls: Annotated[
        tuple[Url, ...],
        Rule(
            "Redis or Valkey servers. With several, each conversation and channel lives on one of them by hash;"
            " every process must have the same list. The variable `REDIS_URL` sets it too, with commas between "
            "servers.",
            required=True,
        ),
    ] = LOCAL_REDIS
    prefix: Annotated[
        str,
        Rule(
            "Start of every key and channel. Another prefix is another deployment.",
            pattern=r"[A-Za-z0-9_.-]{1,38}",
            required=True,
        ),
    ] = "hubbub"


_EXAMPLE_KEY: Final = """\
[[token.keys]]
kid = "2026-03"
algorithm = "HS256"
key = "at least 32 random bytes"
"""


@dataclass(frozen=True, slots=True)
class TokenKey:
    """One key of `[[token.keys]]`."""

    kid: Annotated[
        str, Rule("Matches the `kid` in a token's header.", pattern=r"[\x21-\x7e]{1,128}", required=True)
    ] = ""
    algorithm: Annotated[str, Rule("The one algorithm that this key verifies.", choices=ALGORITHMS, required=True)] = ""
    key: Annotated[
        Secret, Rule("The shared secret (HS…), or the public key in PEM (RS…, ES…, EdDSA).", required=True)
    ] = NO_SECRET


@dataclass(frozen=True, slots=True)
class TokenSection:
    hmac_secret_key: Annotated[
        Secret,
        Rule(
            "Secret shared with the application server that makes the tokens. At least 32 random bytes: `hubbub"
            " keys` makes one."
        ),
    ] = NO_SECRET
    hmac_algorithm: Annotated[str, Rule("The one algorithm of the HMAC keys.", choices=HMAC_ALGORITHMS)] = "HS256"
    hmac_previous_secret_key: Annotated[
        Secret,
        Rule("The HMAC secret before the last change, still accepted. Remove it when its last token has expired."),
    ] = NO_SECRET
    rsa_public_key: Annotated[Pem, Rule("RSA public key in PEM.")] = ""
    rsa_algorithm: Annotated[str, Rule("The one algorithm of the RSA key.", choices=RSA_ALGORITHMS)] = "RS256"
    ecdsa_public_key: Annotated[
        Pem, Rule("Public key in PEM on P-256, P-384 or P-521; the curve decides: ES256, ES384 or ES512.")
    ] = ""
    ed25519_public_key: Annotated[Pem, Rule("Ed25519 public key in PEM, for EdDSA.")] = ""
    keys: Annotated[
        tuple[TokenKey, ...],
        Rule(
            "Keys chosen by the `kid` of a token, for rotation: add the new one, let the application sign with "
            "it, remove the old one.",
            example=_EXAMPLE_KEY,
        ),
    ] = ()
    jwks_public_endpoint: Annotated[
        str,
        Rule(
            "URL of a JSON Web Key Set. Keys are fetched when a `kid` is new and refreshed in the background; "
            "redirects are not followed.",
            pattern=r"https?://\S+",
        ),
    ] = ""
    jwks_refresh_interval: Annotated[
        Seconds, Rule("Age at which the key set is fetched again, in the background.", minimum=10.0)
    ] = 3600.0
    jwks_min_refresh_interval: Annotated[
        Seconds, Rule("Shortest time between two fetches, however many unknown `kid`s arrive.", minimum=1.0)
    ] = 10.0
    audience: Annotated[str, Rule("If set, a token's `aud` must be or contain it.")] = ""
    issuer: Annotated[str, Rule("If set, a token's `iss` must be it.")] = ""
    require_exp: Annotated[
        bool,
        Rule(
            "Refuse tokens without `exp`. False needs `server.allow_insecure_options` as well: such a token is "
            "good for ever."
        ),
    ] = True
    clock_skew: Annotated[
        Seconds,
        Rule(
            "How far `iat` and `nbf` may be ahead of this server's clock. `exp` gets no grace.",
            minimum=0.0,
            maximum=600.0,
        ),
    ] = 30.0
    max_length_bytes: Annotated[
        Bytes, Rule("Longer tokens are refused before they are looked at.", minimum=256, maximum=65536)
    ] = 8192
    user_id_pattern: Annotated[
        str,
        Rule(
            "Regular expression that a user's id (`sub`) must match as a whole. Whatever it says, an id is 1 to 64 "
            "visible ASCII characters.",
            required=True,
        ),
    ] = r"^[A-Za-z0-9_.:@|+-]{1,64}$"


@dataclass(frozen=True, slots=True)
class SubscriptionTokenSection(TokenSection):
    enabled: Annotated[
        bool, Rule("Verify subscription tokens with the keys of this table. False: with those of `[token]`.")
    ] = False


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
        int, Rule("Connections of one user to one process; further ones are closed with 3504. 0: no limit.", minimum=0)
    ] = 0
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


@dataclass(frozen=True, slots=True)
class ApiSection:
    key: Annotated[
        Secret,
        Rule("Key of the server API (`X-API-Key`). Empty: the API answers 401 to everyone. `hubbub keys` makes one."),
    ] = NO_SECRET


@dataclass(frozen=True, slots=True)
class AdminSection:
    enabled: Annotated[
        bool, Rule("Serve the admin page at `/admin`. One signs in with a link from `hubbub admin link`.")
    ] = True
    secret: Annotated[Secret, Rule("Signs admin links and sessions. Empty: derived from `api.key`.")] = NO_SECRET
    link_ttl: Annotated[
        Seconds, Rule("How long a link from `hubbub admin link` may be used, once.", minimum=10.0, maximum=86400.0)
    ] = 600.0
    session_ttl: Annotated[Seconds, Rule("How long one stays signed in.", minimum=60.0)] = 43200.0


@dataclass(frozen=True, slots=True)
class LogSection:
    level: Annotated[str, Rule("Least severity that is written.", choices=("debug", "info", "warning", "error"))] = (
        "info"
    )
    format: Annotated[
        str,
        Rule(
            "`console` for people, `json` for machines, `auto`: console on a terminal.",
            choices=("auto", "console", "json"),
        ),
    ] = "auto"


@dataclass(frozen=True, slots=True)
class LimitsSection:
    message_text_max_size: Annotated[
        Bytes, Rule("Longest text of a message, in UTF-8.", minimum=256, maximum=64 * 1024)
    ] = 16 * 1024
    request_max_size: Annotated[
        Bytes,
        Rule("Largest body of a REST or server API request; more gets 413.", minimum=64 * 1024, maximum=64 * 1024**2),
    ] = 1024**2
    recovery_max_entries: Annotated[
        int,
        Rule(
            "Most missed entries of one conversation that a resume streams; more is `recovered: false`.",
            minimum=1,
            maximum=10_000,
        ),
    ] = 1000
    recovery_max_size: Annotated[Bytes, Rule("The same in bytes.", minimum=64 * 1024)] = 1024**2
    recovery_session_max_size: Annotated[
        Bytes, Rule("Most bytes that a resume streams for all conversations of a connection.", minimum=64 * 1024)
    ] = 4 * 1024**2
    receipts_members: Annotated[
        int,
        Rule(
            "Who has read or received a message is shown in conversations of at most this many members: beyond it "
            "receipts would outnumber the messages.",
            minimum=0,
            maximum=1000,
        ),
    ] = 100
    mention_group_members: Annotated[
        int,
        Rule(
            "In conversations of at most this many members everyone who may write may mention all; in larger ones "
            "moderators may. A mention of who is here reaches at most so many.",
            minimum=0,
            maximum=1000,
        ),
    ] = 100
    presence_members: Annotated[
        int,
        Rule(
            "Members are told of each other's coming and going in conversations of at most this many. 0: nobody is.",
            minimum=0,
            maximum=1000,
        ),
    ] = 50
    presence_grace: Annotated[
        Seconds,
        Rule(
            "How long somebody is still taken to be online after their last connection: who comes back by then was "
            "never gone.",
            minimum=0.0,
            maximum=300.0,
        ),
    ] = 10.0
    message_ttl_max: Annotated[
        Seconds,
        Rule(
            "Longest time after which a message may be told to delete itself (`expires_in_s`).",
            minimum=1.0,
            maximum=366.0 * 24 * 3600,
        ),
    ] = 30.0 * 24 * 3600
    retention: Annotated[
        Seconds,
        Rule(
            "Messages older than this are removed for good, in conversations that say nothing else (`retention_s`). An "
            "hour at least; 0: they are kept.",
            minimum=0.0,
        ),
    ] = 0.0


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration, immutable. Durations are seconds, sizes are bytes."""

    server: Annotated[ServerSection, Table("The process and its port.")] = field(default_factory=ServerSection)
    mongodb: Annotated[MongodbSection, Table("Where everything durable is.")] = field(default_factory=MongodbSection)
    redis: Annotated[RedisSection, Table("What makes delivery between processes fast. Nothing durable is there.")] = (
        field(default_factory=RedisSection)
    )
    token: Annotated[
        TokenSection, Table("Who users are: the keys that verify their tokens. A key verifies one algorithm only.")
    ] = field(default_factory=TokenSection)
    subscription_token: Annotated[
        SubscriptionTokenSection,
        Table("Keys for subscription tokens, when they are others than those of `[token]`. They mean the same here."),
    ] = field(default_factory=SubscriptionTokenSection)
    client: Annotated[ClientSection, Table("What a connection may do and how long it may take.")] = field(
        default_factory=ClientSection
    )
    api: Annotated[ApiSection, Table("The server API, `POST /api/<method>`.")] = field(default_factory=ApiSection)
    admin: Annotated[AdminSection, Table("The admin page.")] = field(default_factory=AdminSection)
    channel: Annotated[ChannelSection, Table("Channels for application events. Conversations are not concerned.")] = (
        field(default_factory=ChannelSection)
    )
    log: Annotated[LogSection, Table("What the processes say on stderr.")] = field(default_factory=LogSection)
    limits: Annotated[LimitsSection, Table("Bounds of messages, requests and recovery.")] = field(
        default_factory=LimitsSection
    )
    uploads: Annotated[
        UploadsSection, Table("Files that users attach to messages. What no message uses is removed by the worker.")
    ] = field(default_factory=UploadsSection)
