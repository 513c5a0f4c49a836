"""The rows that the judge's Core holds. They never change, so that no case depends on another."""

from django.http import Http404

from judge.journal import record

ENVIRONMENTS = {
    41: {"id": 41, "api_key": "client-key", "server_key": "ser.key", "project": 21, "name": "dev"},
    42: {"id": 42, "api_key": "other-key", "server_key": "ser.other", "project": 21, "name": "other"},
}
# Stored identities, all of environment 41.
IDENTITIES = {1001: "alice", 1002: "bob"}
# id: (identity, key)
TRAITS = {5001: (1001, "plan"), 5002: (1001, "age"), 5003: (1002, "plan")}
# id: (identity, feature); the last one is the environment's own.
STATES = {9001: (1001, 101), 9002: (1002, 101), 9003: (1001, 102), 9100: (None, 101)}
FEATURES = {101: 21, 102: 21}
PROJECTS = {21: 11}
USERS = {7}

IDENTIFIER_LENGTH = 2000
KEY_LENGTH = 200


class DataError(Exception):
    """The database takes no such value."""


def column(value, limit):
    """What a varchar column keeps of a text."""
    text = str(value)
    text.encode()  # no lone surrogates
    if "\0" in text:
        raise DataError("NUL")
    if text[limit:].strip(" "):
        raise DataError("too long")
    return text[:limit]


def environment_by_key(key):
    """By its client key, or by a server key."""
    for environment in ENVIRONMENTS.values():
        if key in (environment["api_key"], environment["server_key"]):
            return environment
    return None


def get_or_create(environment, identifier):
    """Commits an identity unless it is there; the stored identifier."""
    stored = column(identifier, IDENTIFIER_LENGTH)
    if not (environment["id"] == 41 and stored in IDENTITIES.values()):
        record("identity", environment=environment["id"], identifier=stored)
    return stored


def write_trait(environment, identifier, key):
    """Sets or deletes a trait. That it may be there already does not matter."""
    record("trait", environment=environment["id"], identifier=identifier, key=column(key, KEY_LENGTH))


def write_override(identity_id, feature, state=None, left=False):
    """Sets or deletes an override of a stored identity; `left`: the state is another's now, or the environment's."""
    owner = {"environment": 41, "identityId": identity_id, "identifier": IDENTITIES[identity_id]}
    record("override", **owner, feature=feature, state=state, left=left)


def lookup(rows, value):
    """A row by its id as a path or a body has it, by the rules of an integer column."""
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise Http404 from error
    if number not in rows:
        raise Http404
    return number
