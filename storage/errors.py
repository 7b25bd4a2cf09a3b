"""What storage raises. Nothing of the driver's leaves the package: storage/mongo translates at one place.

`temporary` says whether the same call may succeed later without anybody changing anything.
"""


class StorageError(Exception):
    """Base of everything storage raises on purpose."""

    temporary = False


class Unavailable(StorageError):
    """MongoDB is away, not primary, or did not answer in time.

    The outcome of a write is unknown; repeating it with the same key is safe.
    """

    temporary = True


class Contended(Unavailable):
    """Lost against a concurrent transaction. Nothing was written."""


class Overloaded(StorageError):
    """A bounded queue is full. Nothing was written; repeat later."""

    temporary = True


class NotFound(StorageError):
    """The row that the call is about does not exist."""


class Conflict(StorageError):
    """The call contradicts what is stored, e.g. a direct conversation with three users. Nothing was written."""


class Banned(Conflict):
    """These users may not become members. Nothing was written."""

    def __init__(self, users: list[str]) -> None:
        super().__init__(users)
        self.users = users

    def __str__(self) -> str:
        return f"banned: {', '.join(self.users)}"


class LimitReached(StorageError):
    """There are as many as there may be. Nothing was written."""


class PreconditionFailed(StorageError):
    """The caller's own check said no after newer entries were examined. Nothing was written."""


class Invalid(StorageError):
    """The record cannot be stored: not text, too large, out of range. Nothing was written."""


class NotMigrated(StorageError):
    """The database is not laid out as this version needs it. `missing` says what, one sentence each."""

    def __init__(self, missing: list[str]) -> None:
        self.missing = missing
        super().__init__("the database needs `hubbub migrate`: " + "; ".join(missing))
