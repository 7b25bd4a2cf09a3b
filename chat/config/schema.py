"""Every key of the configuration: its name, type, default, limits and meaning. The longer tables have a module each.

Where Centrifugo has the same option, the name is Centrifugo's, so that its users can move their namespaces as they are.
"""

from dataclasses import dataclass, field
from typing import Annotated

from chat.config.admission import AdmissionSection
from chat.config.channels import ChannelSection
from chat.config.client import ClientSection
from chat.config.keys import Rule, Table
from chat.config.limits import LimitsSection
from chat.config.push import PushSection
from chat.config.rates import RateLimitsSection
from chat.config.server import ServerSection
from chat.config.tokens import SubscriptionTokenSection, TokenSection
from chat.config.uploads import UploadsSection
from chat.config.values import NO_SECRET, Seconds, Secret, Url

LOCAL_MONGODB = Url("mongodb://127.0.0.1:27017/?replicaSet=rs0")
LOCAL_REDIS = (Url("redis://127.0.0.1:6379"),)


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
class SecretsSection:
    keys: Annotated[
        tuple[Secret, ...],
        Rule(
            "Keys that seal secrets in the database, each `<id>:<32 bytes as base64url>`: the first one seals, all of "
            "them open. `hubbub keys` makes one. To rotate: add the new one at the end everywhere, then put it first."
        ),
    ] = ()


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
    secrets: Annotated[
        SecretsSection, Table("How secrets are kept in the database. The keys themselves are not there.")
    ] = field(default_factory=SecretsSection)
    log: Annotated[LogSection, Table("What the processes say on stderr.")] = field(default_factory=LogSection)
    limits: Annotated[LimitsSection, Table("Bounds of messages, requests and recovery.")] = field(
        default_factory=LimitsSection
    )
    rate_limits: Annotated[
        RateLimitsSection,
        Table("How often something may happen. Each rate is so many a second after so many at once."),
    ] = field(default_factory=RateLimitsSection)
    push: Annotated[PushSection, Table("Notifications on devices that do not have a message in view.")] = field(
        default_factory=PushSection
    )
    admission: Annotated[AdmissionSection, Table("Who is let in while a process is busy.")] = field(
        default_factory=AdmissionSection
    )
    uploads: Annotated[
        UploadsSection, Table("Files that users attach to messages. What no message uses is removed by the worker.")
    ] = field(default_factory=UploadsSection)
