"""One channel: who gets what, in which order. Pure, against a model."""

import json
import socket
from dataclasses import dataclass, field
from functools import partial

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from realtime.channel import MAX_FRAME_BYTES, MAX_HELD, Accepted, Channel, publication_frames
from realtime.outbox import Priority
from realtime.ports import Delivery
from realtime.protocol.codec import Codec
from realtime.protocol.frames import frame
from realtime.protocol.json_codec import JsonCodec
from realtime.protocol.messages import ClientInfo, Payload, Publication
from realtime.protocol.protobuf_codec import ProtobufCodec
from support.engine import ListFeed

JSON: Codec = JsonCodec()


@dataclass(eq=False)
class Ear:
    """A receiver that keeps the frames it was given."""

    codec: Codec = JSON
    frames: list[bytes] = field(default_factory=list)
    priorities: list[Priority] = field(default_factory=list)
    fd: int = -1

    def write(self, ready_frame: bytes, priority: Priority) -> None:
        self.frames.append(ready_frame)
        self.priorities.append(priority)

    @property
    def heard(self) -> list[dict[str, object]]:
        """The JSON pushes, without the frames around them."""
        pushes = []
        for one in self.frames:
            payload = one[{126: 4, 127: 10}.get(one[1], 2) :]
            pushes += [json.loads(line)["push"] for line in payload.split(b"\n")]
        return pushes

    @property
    def offsets(self) -> list[int]:
        return [push["pub"]["offset"] for push in self.heard if push.get("pub", {}).get("offset")]


def durable(offset: int, epoch: str = "e") -> Delivery:
    return Delivery("c", "pub", Publication(Payload(b"%d" % offset), offset=offset), epoch)


def ephemeral(data: bytes = b'"typing"') -> Delivery:
    return Delivery("c", "pub", Publication(Payload(data)))


def positioned(at: int = 0) -> Channel[Ear]:
    channel: Channel[Ear] = Channel("c")
    channel.start(ListFeed(), "e", at)
    return channel


def test_the_next_offset_goes_out_an_older_one_does_not():
    channel, ear = positioned(), Ear()
    channel.add(ear, 0)
    assert [channel.accept(durable(offset)) for offset in (1, 1, 2)] == [
        Accepted.TAKEN,
        Accepted.DUPLICATE,
        Accepted.TAKEN,
    ]
    channel.flush()
    assert ear.offsets == [1, 2]
    assert len(ear.frames) == 1


def test_what_a_socket_does_not_take_at_once_is_for_its_receiver_to_write_and_in_order():
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.settimeout(5)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    channel, ear = positioned(), Ear(fd=ours.fileno())
    channel.add(ear, 0)
    with ours, theirs:
        for offset in range(1, 5):
            channel.accept(Delivery("c", "pub", Publication(Payload(b'"%b"' % (b"x" * 60_000)), offset=offset), "e"))
            channel.flush()
            if ear.frames:
                ear.fd = -1  # as a session says it while something waits
        handed_over = b"".join(ear.frames)
        ours.shutdown(socket.SHUT_WR)
        read = b"".join(iter(partial(theirs.recv, 1 << 20), b""))
    assert read
    assert handed_over
    ear.frames = [frame(1, one) for one in payloads(read + handed_over)]
    assert ear.offsets == [1, 2, 3, 4]


def test_a_socket_that_was_lost_is_for_its_receiver_to_find_out():
    ours, theirs = socket.socketpair()
    theirs.close()
    channel, ear = positioned(), Ear(fd=ours.fileno())
    channel.add(ear, 0)
    with ours:
        channel.accept(durable(1))
        channel.flush()
    assert ear.offsets == [1]


def payloads(data: bytes) -> list[bytes]:
    """Of whole frames of 126 to 65,535 bytes, one after the other."""
    found = []
    while data:
        size = int.from_bytes(data[2:4])
        found.append(data[4 : 4 + size])
        data = data[4 + size :]
    return found


def test_a_later_offset_waits_for_the_missing_one():
    channel, ear = positioned(), Ear()
    channel.add(ear, 0)
    assert channel.accept(durable(2)) is Accepted.HELD
    channel.flush()
    assert ear.offsets == []
    channel.accept(durable(1))
    channel.flush()
    assert ear.offsets == [1, 2]
    assert not channel.held


def test_held_deliveries_are_bounded():
    channel = positioned()
    for offset in range(2, MAX_HELD + 100):
        channel.accept(durable(offset))
    assert len(channel.held) == MAX_HELD


def test_another_epoch_is_told():
    channel = positioned()
    assert channel.accept(durable(1, epoch="other")) is Accepted.OTHER_EPOCH


def test_who_is_behind_hears_what_has_no_offset_only():
    channel, late, live = positioned(5), Ear(), Ear()
    assert not channel.add(late, 3)
    assert channel.add(live, 5)
    channel.accept(durable(6))
    channel.accept(ephemeral())
    channel.flush()
    assert [push["pub"] for push in late.heard] == [{"data": "typing"}]
    assert live.offsets == [6]
    assert late.priorities == [Priority.EPHEMERAL]


def test_positions_begin_after_what_came_by_before_there_were_any():
    """A publication that is heard between the read of a stream and its use: the reader is behind, and not forgotten."""
    channel, early, late = Channel[Ear]("c"), Ear(), Ear()
    channel.add(early, None)
    channel.accept(durable(6))
    channel.flush()
    channel.start(ListFeed(), "e", 5)
    assert channel.offset == 6
    assert not channel.add(late, 5)
    assert early.offsets == [6]


def test_what_came_by_in_another_epoch_says_nothing_about_this_one():
    channel = Channel[Ear]("c")
    channel.accept(durable(6, epoch="old"))
    channel.start(ListFeed(), "e", 2)
    assert channel.offset == 2


def test_joins_and_leaves_go_to_those_who_want_to_hear_them():
    channel, hearer, other = positioned(), Ear(), Ear()
    channel.add(hearer, None)
    channel.add(other, None)
    channel.hearers[hearer] = None
    info = ClientInfo("alice", "client")
    channel.accept(Delivery("c", "join", Publication(info=info)))
    channel.accept(Delivery("c", "leave", Publication(info=info)))
    channel.flush()
    assert [next(key for key in push if key != "channel") for push in hearer.heard] == ["join", "leave"]
    assert other.frames == []


def test_each_codec_gets_its_own_bytes():
    channel, one, two = positioned(), Ear(), Ear(ProtobufCodec())
    channel.add(one, 0)
    channel.add(two, 0)
    channel.accept(durable(1))
    told = channel.flush()
    assert one.frames != two.frames
    assert (told.publications, told.frames) == (2, 2)
    assert told.frame_bytes == len(one.frames[0]) + len(two.frames[0])


def test_a_channel_is_empty_when_nobody_is_there_or_about_to_be():
    channel, ear = positioned(), Ear()
    assert channel.empty
    channel.holds += 1
    assert not channel.empty
    channel.holds -= 1
    for at in (0, 7):
        channel.add(ear, at)
        assert not channel.empty
        channel.remove(ear)
        assert channel.empty
    channel.watchers[ear] = None
    assert not channel.empty


@pytest.mark.parametrize("codec", [JsonCodec(), ProtobufCodec()], ids=lambda codec: codec.name)
def test_frames_are_bounded_and_in_order(codec):
    publications = [Publication(Payload(json.dumps("x" * 20_000).encode()), offset=offset) for offset in range(1, 11)]
    frames = publication_frames(codec, "c", publications)
    assert len(frames) == 4
    assert all(len(frame) <= MAX_FRAME_BYTES + 100 for frame, _ in frames)


def test_a_frame_with_anything_durable_is_never_dropped_for_being_ephemeral():
    mixed = [Publication(Payload(b"1")), Publication(Payload(b"2"), offset=1)]
    assert [priority for _, priority in publication_frames(JSON, "c", mixed)] == [Priority.LIVE]
    assert [priority for _, priority in publication_frames(JSON, "c", mixed[:1])] == [Priority.EPHEMERAL]


class Deliveries(RuleBasedStateMachine):
    """A log that grows, a bus that loses, doubles and reorders, readers that come late and leave: whoever joined at an
    offset gets everything after it once and in order, whatever happens in between.
    """

    @initialize(at=st.integers(0, 3))
    def begin(self, at: int) -> None:
        self.head = at
        self.channel: Channel[Ear] = Channel("c")
        self.channel.start(ListFeed(), "e", at)
        self.joined: dict[Ear, int] = {}
        self.left: list[tuple[Ear, int]] = []

    @rule()
    def append(self) -> None:
        self.head += 1

    @rule(data=st.data())
    def hear(self, data: st.DataObject) -> None:
        if self.head:
            self.channel.accept(durable(data.draw(st.integers(1, self.head))))

    @rule()
    def hear_the_next(self) -> None:
        if self.channel.offset < self.head:
            assert self.channel.accept(durable(self.channel.offset + 1)) is Accepted.TAKEN

    @rule(length=st.integers(1, 4), back=st.integers(0, 2))
    def repair(self, length: int, back: int) -> None:
        first = max(1, self.channel.offset + 1 - back)
        self.channel.fill(durable(offset).publication for offset in range(first, min(first + length, self.head + 1)))

    @rule()
    def flush(self) -> None:
        self.channel.flush()

    @rule(data=st.data())
    def join(self, data: st.DataObject) -> None:
        ear = Ear()
        at = data.draw(st.integers(0, self.head))
        self.channel.flush()
        self.channel.add(ear, at)
        self.joined[ear] = at

    @precondition(lambda self: self.joined)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        ear = data.draw(st.sampled_from(list(self.joined)))
        self.channel.remove(ear)
        self.left.append((ear, len(ear.frames)))
        del self.joined[ear]

    @precondition(lambda self: self.channel.behind)
    @rule(data=st.data(), length=st.integers(1, 4))
    def catch_up(self, data: st.DataObject, length: int) -> None:
        """What the catch-up task does, one piece at a time."""
        ear = data.draw(st.sampled_from(list(self.channel.behind)))
        at = self.channel.behind[ear]
        if at == self.channel.offset:
            self.channel.flush()
            del self.channel.behind[ear]
            self.channel.add(ear, self.channel.offset)
        elif at < self.channel.offset:
            upto = min(at + length, self.channel.offset)
            for ready_frame, priority in publication_frames(
                JSON, "c", [durable(offset).publication for offset in range(at + 1, upto + 1)]
            ):
                ear.write(ready_frame, priority)
            self.channel.behind[ear] = upto

    @invariant()
    def everyone_has_everything_once_and_in_order(self) -> None:
        if not hasattr(self, "joined"):
            return
        for ear, at in self.joined.items():
            got = ear.offsets
            assert got == list(range(at + 1, at + 1 + len(got)))
            if not self.channel.pending and ear not in self.channel.behind:
                assert at + len(got) == self.channel.offset
        for ear, frames in self.left:
            assert len(ear.frames) == frames


TestDeliveries = Deliveries.TestCase
