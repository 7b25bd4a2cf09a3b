"""Whatever comes in whatever order: the machine never raises, ends once, and says the truth about when it is due."""

import math

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from realtime.protocol.codes import BAD_REQUEST, METHOD_NOT_FOUND, ClientError
from realtime.protocol.machine import (
    Answer,
    AwaitingConnect,
    Close,
    Closed,
    Connected,
    Connecting,
    ConnectionMachine,
    ConnectionSettings,
    Invoke,
    Ping,
)
from realtime.protocol.messages import (
    Command,
    ConnectRequest,
    HistoryRequest,
    Invalid,
    Payload,
    PingRequest,
    Pong,
    PublishRequest,
    Received,
    Request,
    RPCRequest,
    SendRequest,
    SubscribeRequest,
    UnsubscribeRequest,
)

request: st.SearchStrategy[Request] = st.sampled_from(
    [
        ConnectRequest(),
        ConnectRequest(data=Payload(b"1" * 100)),
        SubscribeRequest("c"),
        SubscribeRequest("c", type=1),
        SubscribeRequest(),
        UnsubscribeRequest(),
        PublishRequest("c"),
        HistoryRequest("c"),
        PingRequest(),
        SendRequest(),
        RPCRequest("m"),
        RPCRequest("m", Payload(b"1" * 100)),
    ]
)
received: st.SearchStrategy[Received] = st.one_of(
    st.builds(Command, st.integers(0, 3), request),
    st.just(Pong()),
    st.builds(
        Invalid,
        st.integers(1, 3),
        st.sampled_from(
            [ClientError(METHOD_NOT_FOUND), ClientError(BAD_REQUEST, "rule", "connect.token"), ClientError(BAD_REQUEST)]
        ),
    ),
)


class Driver(RuleBasedStateMachine):
    """A driver as the machine wants it, and a client that does as it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.settings = ConnectionSettings(max_command_data_bytes=50)
        self.machine = ConnectionMachine(self.settings, now=self.now)
        self.closes = 0
        self.invoked: set[int] = set()

    @precondition(lambda self: not isinstance(self.machine.state, Connecting))
    @rule(item=received)
    def receive(self, item: Received) -> None:
        before = self.machine.state
        effect = self.machine.receive(item)
        match effect:
            case Close(disconnect=disconnect, reason=reason):
                self.closes += 1
                assert disconnect.code == 3501
                assert reason
                assert isinstance(self.machine.state, Closed)
            case Answer(reply=reply):
                assert reply.id > 0
                assert type(self.machine.state) is type(before)
            case Invoke(id=command_id, request=request):
                assert command_id > 0
                assert isinstance(request, ConnectRequest) is isinstance(before, AwaitingConnect)
            case None:
                assert self.machine.state == before
        if isinstance(before, Closed):
            assert effect is None

    @precondition(lambda self: isinstance(self.machine.state, Connecting))
    @rule(accepted=st.booleans(), expires_in_s=st.none() | st.floats(-5, 100))
    def decide(self, accepted: bool, expires_in_s: float | None) -> None:
        if accepted:
            self.machine.connected(None if expires_in_s is None else self.now + expires_in_s, self.now)
            assert isinstance(self.machine.state, Connected)
        else:
            self.machine.refused()
            assert isinstance(self.machine.state, AwaitingConnect)

    @precondition(lambda self: isinstance(self.machine.state, Connected))
    @rule(expires_in_s=st.none() | st.floats(0, 100))
    def refresh(self, expires_in_s: float | None) -> None:
        self.machine.refreshed(None if expires_in_s is None else self.now + expires_in_s)

    @rule(seconds=st.floats(0, 60))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        due_at = self.machine.due_at
        actions = self.machine.tick(self.now)
        assert bool(actions) is (self.now >= due_at), "due_at says exactly when there is something to do"
        for action in actions:
            if isinstance(action, Close):
                self.closes += 1
                assert isinstance(self.machine.state, Closed)
            else:
                assert action == Ping()
                assert isinstance(self.machine.state, Connected)
        assert self.machine.due_at > self.now, "a tick leaves nothing undone"

    @rule()
    def peer_goes(self) -> None:
        if self.now > 200:
            self.machine.close()

    @invariant()
    def it_ends_once(self) -> None:
        assert self.closes <= 1
        if isinstance(self.machine.state, Closed):
            assert self.machine.due_at == math.inf


Driver.TestCase.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
TestMachine = Driver.TestCase
