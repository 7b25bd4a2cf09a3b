"""What a channel's name says: whose it is, which options it has, who is named in it. Pure.

`conv:<conversation>` and `user:<user>` are the chat's own. Every other name belongs to applications and reads
`[$][<namespace>:]<rest>[#<user>[,<user>…]]`: `$` wants a subscription token, `#` names the users that may subscribe.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from chat.config.channels import ChannelNamespace, ChannelOptions, ChannelSection

PRIVATE_PREFIX: Final = "$"
NAMESPACE_BOUNDARY: Final = ":"
USER_BOUNDARY: Final = "#"
USER_SEPARATOR: Final = ","


class ChannelKind(StrEnum):
    CONVERSATION = "conv"
    USER = "user"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel's name, taken apart.

    `namespace` is empty for a channel without one. `rest` is what follows it: the conversation's or user's id in the
    chat's own channels. `users` are those named after `#`, None if the name has no `#`.
    """

    name: str
    kind: ChannelKind
    namespace: str
    rest: str
    private: bool = False
    users: frozenset[str] | None = None


class BadChannel(ValueError):
    """No channel can have this name. The text is a rule that completes "channel: …"."""


def parse(name: str, *, max_length: int = 255) -> Channel:
    """Take a name apart. Raises BadChannel."""
    if not name:
        raise BadChannel("is required")
    if len(name) > max_length:
        raise BadChannel(f"is longer than {max_length} characters")
    if not (name.isascii() and name.isprintable()):
        raise BadChannel("must be printable ASCII")
    private = name.startswith(PRIVATE_PREFIX)
    namespace, boundary, rest = name.removeprefix(PRIVATE_PREFIX).partition(NAMESPACE_BOUNDARY)
    if not boundary:
        namespace, rest = "", namespace
    if not private and namespace in (ChannelKind.CONVERSATION, ChannelKind.USER):
        if not rest:
            raise BadChannel(f"names nothing after {namespace}{NAMESPACE_BOUNDARY}")
        return Channel(name, ChannelKind(namespace), namespace, rest)
    _, limited, users = rest.rpartition(USER_BOUNDARY)
    named = frozenset(user for user in users.split(USER_SEPARATOR) if user) if limited else None
    return Channel(name, ChannelKind.PLAIN, namespace, rest, private, named)


class Namespaces:
    """The configured options by namespace. Immutable."""

    __slots__ = ("_by_name", "_section", "_without")

    def __init__(self, section: ChannelSection) -> None:
        self._section: Final = section
        self._without: Final = section.without_namespace
        self._by_name: Final[dict[str, ChannelNamespace]] = {one.name: one for one in section.namespaces}

    def parse(self, name: str) -> Channel:
        """Take a name apart under the configured bound on its length. Raises BadChannel."""
        return parse(name, max_length=self._section.max_length)

    def options(self, channel: Channel) -> ChannelOptions | None:
        """The options of an application's channel; None where its namespace is not configured (error 102).

        The chat's own channels have none either: membership decides there.
        """
        if channel.kind is not ChannelKind.PLAIN:
            return None
        return self._by_name.get(channel.namespace) if channel.namespace else self._without

    def history_meta_ttl_s(self, options: ChannelOptions) -> float:
        """How long a position outlives its publications."""
        return options.history_meta_ttl or self._section.history_meta_ttl


def config_table(channel: Channel) -> str:
    """Where the options of a channel are written, for messages: `channel.without_namespace`."""
    return f"channel.namespaces[{channel.namespace}]" if channel.namespace else "channel.without_namespace"


def personal_channel(user: str, namespace: str = "") -> str:
    """The channel of one user's own: `#anna`, or `me:#anna` in a namespace."""
    own = f"{USER_BOUNDARY}{user}"
    return f"{namespace}{NAMESPACE_BOUNDARY}{own}" if namespace else own
