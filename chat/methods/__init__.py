"""The methods: name, parameters, result, and the use case behind it, a table for each area."""

from chat.methods.decoding import Decoder, invalid
from chat.methods.method import Method, Outcome
from chat.methods.table import METHODS, method

__all__ = ["METHODS", "Decoder", "Method", "Outcome", "invalid", "method"]
