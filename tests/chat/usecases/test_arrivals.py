"""Users on first sight."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.usecases.arrivals import Arrivals, Profile, profile_of
from chat.usecases.ports import Limits
from realtime.protocol.messages import EMPTY, Payload
from storage.mongo.client import connect
from storage.store import open_store
from support.databases import laid_out

ANNA = Payload(b'{"name":"Anna","avatar_url":"https://x.example/a.png","more":1}')


@pytest.fixture
async def store(mongodb_url, database_name):
    async with connect(mongodb_url, database_name) as database:
        await laid_out(database)
    async with open_store(mongodb_url, database_name) as store:
        yield store


async def test_a_user_is_created_and_filled_in_from_the_token(store):
    await Arrivals(store, Limits(), lambda: 5).arrived("anna", ANNA)
    anna = await store.users.get("anna")
    assert (anna.name, anna.avatar_url, anna.created_at) == ("Anna", "https://x.example/a.png", 5)


async def test_a_token_that_tells_nothing_still_makes_the_user(store):
    await Arrivals(store, Limits(), lambda: 5).arrived("berta", EMPTY)
    assert (await store.users.get("berta")).name == ""


async def test_what_the_application_or_the_user_set_stays(store):
    await store.users.upsert("anna", at=1, name="Dr. Anna")
    await Arrivals(store, Limits(), lambda: 5).arrived("anna", ANNA)
    anna = await store.users.get("anna")
    assert (anna.name, anna.avatar_url) == ("Dr. Anna", "https://x.example/a.png")


async def test_another_profile_is_looked_at_again(store):
    arrivals = Arrivals(store, Limits(), lambda: 5)
    await arrivals.arrived("carl", Payload(b'{"avatar_url":"http://x.example/c.png"}'))
    await arrivals.arrived("carl", Payload(b'{"name":"Carl"}'))
    carl = await store.users.get("carl")
    assert (carl.name, carl.avatar_url) == ("Carl", "http://x.example/c.png")


@pytest.mark.parametrize(
    ("info", "profile"),
    [
        (b"", None),
        (b"{}", None),
        (b"[]", None),
        (b'"x"', None),
        (b'{"name":7,"avatar_url":7}', None),
        (b'{"name":"","avatar_url":"javascript:alert(1)"}', None),
        (b'{"name":"A","avatar_url":"https://x y"}', Profile("A", None)),
        (b'{"avatar_url":"https://x"}', Profile(None, "https://x")),
        (b'{"name":"%s"}' % (b"x" * 200), Profile("x" * 100, None)),
    ],
)
def test_profiles(info, profile):
    assert profile_of(Payload(info)) == profile


@given(st.binary(max_size=50))
def test_no_info_is_a_fault(info):
    profile_of(Payload(info))
