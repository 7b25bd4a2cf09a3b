"""The Centrifugo client protocol v2, without I/O, clock or randomness.

`codes` is the catalogue of numbers, `messages` the vocabulary, `json_codec` and `protobuf_codec` its two spellings
(`codec` is what they have in common, `payload` what they let through), `frames` the WebSocket bytes, `machine` what a
connection may do when, `recovery` the arithmetic of offsets.
"""
