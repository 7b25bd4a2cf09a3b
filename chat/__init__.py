"""The product: use cases, REST, server API, admin, command line and the wiring of everything below."""

__version__ = "0.1.0"
