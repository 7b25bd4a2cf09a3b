"""What is somebody else's takes the database the same questions as what is nobody's: the time tells nothing either.

`python -m bench.timing` measures the time.
"""

from typing import Any

import pytest

from support.profile import Profile
from support.talking import group, say
from support.waiting import eventually
from support.wire_client import wire_client

METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "R26-the-conversation": ("conversation.get", {}),
    "R26-its-members": ("conversation.members", {}),
    "R26-its-messages": ("history.page", {}),
    "R26-a-message": ("message.get", {"offset": 2}),
    "R26-a-search": ("history.search", {"text": "hello"}),
    "R26-a-position": ("read.mark", {"offset": 2}),
    "R26-a-message-to-it": ("message.send", {"idempotency_key": "k", "text": "x"}),
    "A2-joining-it": ("conversation.join", {}),
    "A2-changing-it": ("conversation.update", {"title": "x"}),
    "A2-typing-there": ("typing.start", {}),
}


@pytest.fixture
def profile(_mongodb, database_name):
    profile = Profile(_mongodb, database_name)
    yield profile
    _mongodb[database_name].command({"profile": 0})


@pytest.mark.parametrize(("method", "fields"), [pytest.param(*row, id=name) for name, row in METHODS.items()])
async def test_foreign_and_missing_are_the_same_questions(app, profile, method, fields):
    async with wire_client(app.websocket) as alice:
        await alice.connect(app.token("alice"))
        foreign = await group(alice)
        await say(alice, foreign, "hello")

        async def settled() -> bool:
            return bool((await alice.rpc("conversation.list"))["conversations"][0]["head"]["n"] == 1)

        await eventually(settled)
    asked, answers = [], []
    async with wire_client(app.websocket) as eve:
        await eve.connect(app.token("eve"))
        for conversation in (foreign, "z" * 26):
            for _ in range(2):  # for the first time, and again
                profile.reset()
                answers.append(await eve.rpc(method, conversation=conversation, **fields))
                asked.append(profile.questions_about(conversation))
    assert answers[0]["error"]["code"] == 103
    assert all(answer == answers[0] for answer in answers)
    assert asked[:2] == asked[2:], asked
