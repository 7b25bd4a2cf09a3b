"""What a test's database is asked."""

from collections import Counter
from typing import Any

from pymongo import MongoClient


class Profile:
    """What a database was asked, by collection; from `reset` on."""

    def __init__(self, client: MongoClient[dict[str, Any]], name: str) -> None:
        self._database = client[name]

    def reset(self) -> None:
        self._database.command({"profile": 0})
        self._database["system.profile"].drop()
        self._database.command({"profile": 2})

    def reads(self) -> Counter[str]:
        """Finds and aggregations by collection."""
        query = {"op": {"$in": ["query", "command"]}, "ns": {"$ne": f"{self._database.name}.system.profile"}}
        return Counter(
            str(one["ns"]).partition(".")[2]
            for one in self._database["system.profile"].find(query, {"ns": 1, "command": 1})
            if {"find", "aggregate"} & one["command"].keys()
        )

    def questions_about(self, name: str) -> Counter[str]:
        """Finds and aggregations by collection in which this name is."""
        query = {"ns": {"$ne": f"{self._database.name}.system.profile"}}
        return Counter(
            str(one["ns"]).partition(".")[2]
            for one in self._database["system.profile"].find(query, {"ns": 1, "command": 1})
            if {"find", "aggregate"} & one.get("command", {}).keys() and name in str(one["command"])
        )
