"""What the request under way would have written. A worker takes one request at a time."""

import json
import os

_file = os.open(os.environ["JUDGE_JOURNAL"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
_writes = []
_route = None


def begin():
    """A new request has come."""
    global _route
    _writes.clear()
    _route = None


def enter(route):
    """A view was reached; what it writes is recorded after this."""
    global _route
    _route = route


def record(kind, **fields):
    """Something would be committed now, whatever the answer will be."""
    _writes.append({"kind": kind, **fields})


def end(**fields):
    """Writes the request's line, before its answer is sent."""
    line = json.dumps({**fields, "route": _route, "writes": _writes}) + "\n"
    os.write(_file, line.encode())
