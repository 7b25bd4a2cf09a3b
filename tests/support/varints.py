"""Protobuf's length prefixes, written and read the slow and plain way."""


def delimited(*messages: bytes) -> bytes:
    """The payload of a frame of these messages."""
    frame = bytearray()
    for message in messages:
        size = len(message)
        while size >= 0x80:
            frame.append(size & 0x7F | 0x80)
            size >>= 7
        frame.append(size)
        frame += message
    return bytes(frame)


def undelimited(frame: bytes) -> list[bytes]:
    """The messages of a frame's payload."""
    messages = []
    position = 0
    while position < len(frame):
        size = shift = 0
        while True:
            byte = frame[position]
            size |= (byte & 0x7F) << shift
            position, shift = position + 1, shift + 7
            if byte < 0x80:
                break
        assert position + size <= len(frame)
        messages.append(frame[position : position + size])
        position += size
    return messages
