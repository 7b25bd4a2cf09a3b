"""The registry of one process, with the build, the operating system's view and the garbage collector on it."""

import platform

from prometheus_client import CollectorRegistry, GCCollector, Info, ProcessCollector


def process_registry(version: str) -> CollectorRegistry:
    """A registry of its own, never prometheus_client's global one: tests have several hubs in one process."""
    registry = CollectorRegistry(auto_describe=True)
    Info("hubbub_build", "What is running.", registry=registry).info(
        {"version": version, "python": platform.python_version()}
    )
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    return registry
