"""Configuration: the schema, the layers that fill it, and what is checked before anything starts.

`load(path, environ, overrides)` gives a frozen `Config` and the origin of every value. Imports nothing heavy: the
command line needs it at once.
"""

from chat.config.channels import ChannelNamespace, ChannelOptions
from chat.config.errors import ConfigError, Layer, Origin, Problem
from chat.config.load import Loaded, load, locate
from chat.config.safety import insecure_options, refuse_insecure
from chat.config.schema import Config
from chat.config.tokens import TokenSection
from chat.config.values import Secret, Url

__all__ = [
    "ChannelNamespace",
    "ChannelOptions",
    "Config",
    "ConfigError",
    "Layer",
    "Loaded",
    "Origin",
    "Problem",
    "Secret",
    "TokenSection",
    "Url",
    "insecure_options",
    "load",
    "locate",
    "refuse_insecure",
]
