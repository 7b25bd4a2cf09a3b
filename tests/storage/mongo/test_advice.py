"""What is said of a MongoDB deployment's settings."""

import pytest

from storage.mongo.advice import Settings, advise, ask
from storage.mongo.client import connect

GOOD = Settings(transaction_lifetime_s=10, majority_is_journaled=True, members=3, ahead_s=0.2)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (GOOD, []),
        (Settings(), []),
        (Settings(majority_is_journaled=False), ["counts a majority before it is on disk"]),
        (Settings(members=1), ["one member"]),
        (Settings(transaction_lifetime_s=11), ["open for 11 s"]),
        (Settings(ahead_s=-61), ["61 s apart"]),
        (Settings(ahead_s=60), []),
    ],
)
def test_each_setting_that_costs_somebody_later_is_named(settings: Settings, said: list[str]) -> None:
    found = list(advise(settings))
    assert len(found) == len(said)
    assert all(
        words in advice.what and advice.why and advice.command for words, advice in zip(said, found, strict=True)
    )


async def test_the_server_is_asked(mongodb_url: str, database_name: str) -> None:
    async with connect(mongodb_url, database_name) as database:
        settings = await ask(database)
    assert settings.majority_is_journaled is True
    assert settings.transaction_lifetime_s == 10
    assert settings.members == 1
    assert settings.ahead_s is not None
    assert abs(settings.ahead_s) < 5
