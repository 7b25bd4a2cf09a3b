"""docs/limits.md names every limit, with the default that it has."""

import re
from pathlib import Path

import pytest

from chat.backend.devices_online import MAX_WAITING
from chat.calls import ANSWER_TIMEOUT_S, AWAY_TIMEOUT_S
from chat.config import Config
from chat.config.keys import Key, describe
from chat.config.kinds import kind_of
from chat.http.server_api.requests import MAX_CHANNELS_AT_ONCE, MAX_COMMANDS_AT_ONCE, MAX_USERS_AT_ONCE
from chat.limits.buckets import MAX_KEYS
from chat.limits.sharing import MAX_DEBT_S
from chat.limits.users import MAX_USERS
from chat.usecases import ports, searching, syncing
from chat.usecases import reactions as reacting
from chat.vocabulary import connecting, members, messages
from chat.vocabulary import devices as device_words
from chat.vocabulary import searching as words
from realtime.confirming import ASK_APART_S, MAX_CONFIRMED
from realtime.protocol.codec import MAX_MESSAGES_PER_FRAME
from realtime.protocol.frame_reader import CONTROL_BURST, CONTROL_PER_S, MAX_FRAGMENTS
from realtime.redis import client_states
from realtime.session import MAX_IN_FLIGHT
from realtime.settings import Settings
from realtime.stats import RATE_LIMITS
from storage.mongo import blocks, devices, invites, push_apps, reactions

PAGE = (Path(__file__).parents[2] / "docs" / "limits.md").read_text()
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("| ")]
BOUNDING = ("admission", "client", "limits", "rate_limits", "uploads")
ELSEWHERE = ("token.max_length_bytes", "subscription_token.max_length_bytes", "channel.max_length")


def limit_keys() -> list[Key]:
    """Numbers, sizes and durations of the tables that bound what clients do."""
    return [
        key
        for key in describe(Config).every_key()
        if (key.path.partition(".")[0] in BOUNDING or key.path in ELSEWHERE)
        and key.row_type is None
        and kind_of(key).name in ("integer", "size", "duration")
    ]


@pytest.mark.parametrize("key", limit_keys(), ids=lambda key: key.path)
def test_every_limit_of_the_configuration_has_a_row_with_its_default(key: Key) -> None:
    rows = [row for row in ROWS if f"`{key.path}`" in row[2]]
    assert len(rows) == 1, f"docs/limits.md has {len(rows)} rows for {key.path}"
    assert rows[0][1] == str(kind_of(key).show(key.default))


@pytest.mark.parametrize("field", connecting.Limits.__struct_fields__)
def test_every_limit_that_a_connect_tells_is_there(field: str) -> None:
    assert any(f"`{field}`" in row[4] for row in ROWS) or f"`{field}` tells" in PAGE


def test_every_key_and_every_field_that_the_page_names_exists() -> None:
    keys = {key.path for key in describe(Config).every_key()}
    for row in ROWS:
        if found := re.fullmatch(r"`([a-z_]+\.[a-z_.]+)`", row[2]):
            assert found[1] in keys, row
        if found := re.fullmatch(r"`([a-z_]+)`", row[4]):
            assert found[1] in connecting.Limits.__struct_fields__, row


@pytest.mark.parametrize(
    ("start", "number"),
    [
        ("commands of a connection in work", MAX_IN_FLIGHT),
        ("time to answer a command", f"{ANSWER_TIMEOUT_S:g} s"),
        ("… while MongoDB is known to be away", f"{AWAY_TIMEOUT_S:g} s"),
        ("fragments of a message", MAX_FRAGMENTS),
        ("WebSocket pings and pongs", CONTROL_BURST),
        ("commands in a frame", MAX_MESSAGES_PER_FRAME),
        ("a page of messages", 200),
        ("entries of one conversation in `sync`", syncing.MAX_ENTRIES),
        ("a reply of `sync` in bytes", f"{syncing.MAX_REPLY_BYTES // 1024} KiB"),
        ("who is present in a channel", Settings().max_presence_entries),
        ("`content` of a message", f"{ports.Limits().content_bytes // 1024} KiB"),
        ("`custom` of anything", f"{ports.Limits().custom_bytes // 1024} KiB"),
        ("attachments of a message", messages.MAX_ATTACHMENTS),
        ("mentions in a message", messages.MAX_MENTIONS),
        ("edits of a message", messages.MAX_EDITS),
        ("pins of a conversation", messages.MAX_PINS),
        ("messages that one deletion", messages.MAX_AT_ONCE),
        ("different reactions", reactions.MAX_DIFFERENT),
        ("… of one user", reactions.MAX_OWN),
        ("a reaction", f"{reacting.MAX_BYTES} bytes"),
        ("words to search for", words.MAX_WORDS),
        ("text to search for", f"{words.MAX_TEXT} characters"),
        ("members that one request adds", members.MAX_MEMBERS_AT_ONCE),
        ("users that one user blocks", blocks.MAX_BLOCKED),
        ("invites of a conversation", invites.MAX_INVITES),
        ("devices of a user that are rung", devices.MAX_ACTIVE),
        ("devices of a user whose state is known", client_states.MAX_DEVICES),
        ("conversations of a device of which", MAX_CONFIRMED),
        ("devices that wait to be told of", MAX_WAITING),
        ("between pings to a device", f"{ASK_APART_S:g} s"),
        ("quiet hours of a user", device_words.MAX_SCHEDULES),
        ("an address of a device", f"{device_words.MAX_ADDRESS} characters"),
        ("what a device can do (`caps`)", device_words.MAX_CAPS),
        ("keys of an app with a provider", push_apps.MAX_KEYS),
        ("channels of a broadcast", MAX_CHANNELS_AT_ONCE),
        ("commands of a batch", MAX_COMMANDS_AT_ONCE),
        ("users of one request", MAX_USERS_AT_ONCE),
    ],
)
def test_what_no_key_changes_has_the_number_that_it_has(start: str, number: object) -> None:
    row = next(row for row in ROWS if row[0].startswith(start))
    assert row[1] == str(number)


def test_the_words_between_the_tables_are_true() -> None:
    assert f"at most {MAX_DEBT_S:g} s" in PAGE
    assert f"| … a second | {CONTROL_PER_S:g} | | closed with 1008" in PAGE
    assert MAX_USERS == MAX_KEYS
    assert f"beyond {MAX_USERS:,} users (or addresses)" in PAGE
    assert searching.MAX_PAGE_BYTES == 48 * 1024
    for limit in RATE_LIMITS:
        assert f"`rate_limits.{limit}`" in PAGE
