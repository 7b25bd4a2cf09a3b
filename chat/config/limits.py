"""The keys of `[limits]`: bounds of messages, requests and recovery."""

from dataclasses import dataclass
from typing import Annotated

from chat.config.keys import Rule
from chat.config.values import Bytes, Seconds


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
