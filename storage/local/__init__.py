"""Finds and runs the real MongoDB and Redis servers of `hubbub dev` and the tests. Production needs none of it."""
