"""What is sealed is opened by its key, in its place and unchanged, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.config import Config, ConfigError, load
from chat.control.proving import prove
from chat.sealing import KEY_BYTES, KeyMissing, Sealer, SealingError, key_of, new_key
from storage.mongo.client import connect
from storage.mongo.migrate import migrate
from storage.store import open_store

ONE, TWO = bytes(range(KEY_BYTES)), bytes(range(1, KEY_BYTES + 1))
ABOUT = "devices/d1"


@given(st.binary(max_size=4096))
def test_what_was_sealed_is_opened(plain: bytes) -> None:
    sealer = Sealer({"k1": ONE})
    sealed = sealer.seal(plain, about=ABOUT)
    assert sealer.open(sealed, about=ABOUT) == plain
    assert sealed != sealer.seal(plain, about=ABOUT)
    assert key_of(sealed) == "k1"


def test_it_is_opened_only_in_its_place() -> None:
    sealer = Sealer({"k1": ONE})
    sealed = sealer.seal(b"secret", about=ABOUT)
    with pytest.raises(SealingError, match="place"):
        sealer.open(sealed, about="devices/d2")


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=63))
def test_one_changed_character_is_noticed(position: int, by: int) -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    sealer = Sealer({"k1": ONE})
    head, _, body = sealer.seal(b"some secret", about=ABOUT).rpartition(".")
    position %= len(body) - 1  # some bits of the last character mean nothing
    changed = alphabet[(alphabet.index(body[position]) + by) % 64]
    with pytest.raises(SealingError):
        sealer.open(f"{head}.{body[:position]}{changed}{body[position + 1 :]}", about=ABOUT)


@pytest.mark.parametrize(
    "text", ["", "1", "1..x", "2.k1.AAAA", "1.k1.A", "1.k1.AAAA", "1.k1.é", "plain text", "1.k 1.AAAA"]
)
def test_what_was_never_sealed_is_refused(text: str) -> None:
    with pytest.raises(SealingError):
        Sealer({"k1": ONE}).open(text, about=ABOUT)


def test_keys_rotate_by_sealing_anew() -> None:
    old, both, new = Sealer({"k1": ONE}), Sealer({"k2": TWO, "k1": ONE}), Sealer({"k2": TWO})
    sealed = old.seal(b"secret", about=ABOUT)
    with pytest.raises(KeyMissing, match="k1") as error:
        new.open(sealed, about=ABOUT)
    assert error.value.key == "k1"
    assert both.is_stale(sealed)
    again = both.reseal(sealed, about=ABOUT)
    assert not both.is_stale(again)
    assert new.open(again, about=ABOUT) == b"secret"


def test_the_same_id_with_another_key_opens_nothing() -> None:
    with pytest.raises(SealingError):
        Sealer({"k1": TWO}).open(Sealer({"k1": ONE}).seal(b"secret", about=ABOUT), about=ABOUT)


def test_without_keys_nothing_is_sealed() -> None:
    assert not Sealer({})
    with pytest.raises(SealingError, match=r"secrets\.keys"):
        Sealer({}).seal(b"secret", about=ABOUT)


def configured(*keys: str) -> Config:
    return load(None, {}, {"secrets.keys": list(keys)}).config


def test_keys_come_from_the_configuration_and_are_never_shown() -> None:
    first, second = new_key(), new_key()
    sealer = Sealer.from_config(configured(first, second))
    assert key_of(sealer.seal(b"x", about=ABOUT)) == first.partition(":")[0]
    assert Sealer.from_config(configured(second, first)).open(sealer.seal(b"x", about=ABOUT), about=ABOUT) == b"x"
    assert first.partition(":")[2] not in repr(sealer) + repr(configured(first))


@pytest.mark.parametrize("key", ["", "k1", "k1:short", f"k 1:{'A' * 43}", f"k1:{'A' * 42}", f"k1:{'A' * 44}"])
def test_what_is_no_key_stops_the_start(key: str) -> None:
    with pytest.raises(ConfigError, match=r"secrets\.keys\[0\]") as error:
        Sealer.from_config(configured(key))
    assert "AAAA" not in str(error.value)


def test_an_id_is_there_once() -> None:
    with pytest.raises(ConfigError, match="twice"):
        Sealer.from_config(configured(f"k1:{'A' * 43}", f"k1:{'B' * 42}A"))


async def test_a_missing_key_is_said_at_the_start(mongodb_url: str, database_name: str) -> None:
    async with connect(mongodb_url, database_name) as database:
        await migrate(database)
    old, both, new = Sealer({"k1": ONE}), Sealer({"k2": TWO, "k1": ONE}), Sealer({"k2": TWO})
    async with open_store(mongodb_url, database_name) as store:
        await prove(store, Sealer({}))
        await prove(store, old)
        await prove(store, old)
        for sealer in (Sealer({}), new):
            with pytest.raises(ConfigError, match="'k1' is missing"):
                await prove(store, sealer)
        with pytest.raises(ConfigError, match="cannot be opened"):
            await prove(store, Sealer({"k1": TWO}))
        await prove(store, both)
        await prove(store, new)
        with pytest.raises(ConfigError, match="'k2' is missing"):
            await prove(store, old)
