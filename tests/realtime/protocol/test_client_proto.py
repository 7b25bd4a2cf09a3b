"""Our description of the protocol against the one that the Python SDK was generated from."""

from pathlib import Path
from typing import Any

import pytest
from centrifuge.protocol import client_pb2 as sdk
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from realtime.protocol import client_pb2 as ours

ROOT = Path(__file__).parents[3]
# Younger than the SDK: read, so that they can be refused.
YOUNGER = {("SubscribeRequest", "type", 15), ("PublishRequest", "type", 3), ("SubRefreshRequest", "type", 3)}
RENAMED = {"Resume": "SubscribeRequest"}


def described(message: Any) -> dict[str, tuple[int, int, bool]]:
    """field -> (number, type, repeated)"""
    return {field.name: (field.number, field.type, field.has_presence) for field in message.fields}


@pytest.mark.parametrize("name", sorted(ours.DESCRIPTOR.message_types_by_name))
def test_names_numbers_and_types_are_those_of_the_protocol(name: str) -> None:
    theirs = described(sdk.DESCRIPTOR.message_types_by_name[RENAMED.get(name, name)])
    for field, description in described(ours.DESCRIPTOR.message_types_by_name[name]).items():
        if (name, field, description[0]) not in YOUNGER:
            assert theirs[field] == description, field


def test_delta_channel_ids_and_dictionaries_cannot_be_answered() -> None:
    for message in (ours.ConnectResult, ours.SubscribeResult, ours.Subscribe, ours.Push, ours.Publication):
        assert not {"delta", "id", "dict", "flag"} & set(message.DESCRIPTOR.fields_by_name)


def test_message_refresh_and_connect_pushes_cannot_be_sent() -> None:
    assert not {"message", "refresh", "connect"} & set(ours.Push.DESCRIPTOR.fields_by_name)


def forget_json_names(messages: Any) -> None:
    """Which protoc derives from the names, and leaves out of generated code."""
    for message in messages:
        for field in message.field:
            field.ClearField("json_name")
        forget_json_names(message.nested_type)


def test_the_generated_code_is_that_of_the_description(tmp_path: Path) -> None:
    protoc = pytest.importorskip("grpc_tools.protoc")
    target = tmp_path / "descriptor"
    source = Path(ours.DESCRIPTOR.name)
    arguments = ["protoc", f"-I{ROOT}", f"--descriptor_set_out={target}", str(ROOT / source)]
    assert protoc.main(arguments) == 0
    (described_now,) = FileDescriptorSet.FromString(target.read_bytes()).file
    generated = FileDescriptorProto()
    ours.DESCRIPTOR.CopyToProto(generated)
    forget_json_names(described_now.message_type)
    assert generated == described_now
