"""What a Redis server's refusals and failures mean, in words of ours: it repeats in its own what it was sent."""

from __future__ import annotations

import re
from typing import NamedTuple

import redis
from redis.exceptions import RedisClusterException, RedisError

#: What a command may raise.
ERRORS = (RedisError, RedisClusterException, OSError, EOFError)


class Trouble(NamedTuple):
    """What is wrong, and whether it may be over soon."""

    text: str
    passes: bool


_REPLICA = Trouble("is a read-only replica: is a failover under way?", True)
_LOADING = Trouble("is still loading its data", True)
_ORPHAN = Trouble("is a replica that has lost its master", True)
_CLUSTER = Trouble("is part of a cluster that is down", True)
_FULL = Trouble("is full (OOM): give it more maxmemory, or delete something", False)
_REFUSED = Trouble("refuses the password, or wants one", False)
_FORBIDDEN = Trouble("does not permit this user what the storage needs (NOPERM): see RedisStorage", False)
_UNTRUSTED = Trouble("shows a certificate that is not trusted here: name its authority with ssl_ca_certs", False)
_LOST = Trouble("can not be reached", True)

#: By the code of the server's answer.
_BY_CODE = {
    "READONLY": _REPLICA,
    "LOADING": _LOADING,
    "MASTERDOWN": _ORPHAN,
    "CLUSTERDOWN": _CLUSTER,
    "TRYAGAIN": Trouble("is moving the key to another node", True),
    "BUSY": Trouble("is busy with a script", True),
    "NOREPLICAS": Trouble("has too few replicas to write", True),
    "OOM": _FULL,
    "MISCONF": Trouble("takes no writes, because it can not save to its disk (MISCONF)", False),
    "NOAUTH": _REFUSED,
    "WRONGPASS": _REFUSED,
    "NOPERM": _FORBIDDEN,
    "WRONGTYPE": Trouble("holds something else under this name (WRONGTYPE)", False),
}

#: By the class of the error, from whose text redis-py has taken the code away.
_BY_CLASS = {
    "ReadOnlyError": _REPLICA,
    "BusyLoadingError": _LOADING,
    "MasterDownError": _ORPHAN,
    "ClusterDownError": _CLUSTER,
    "OutOfMemoryError": _FULL,
    "NoPermissionError": _FORBIDDEN,
    "AuthenticationError": _REFUSED,
    "AuthenticationWrongNumberOfArgsError": _REFUSED,
    "MaxConnectionsError": Trouble("has no connection left for the storage", True),
    "TimeoutError": Trouble("does not answer", True),
    "ConnectionError": _LOST,
    "RedisClusterException": _CLUSTER,
    "OSError": _LOST,
    "EOFError": _LOST,
}
_CERTIFICATE = "CERTIFICATE_VERIFY_FAILED"

#: What a script may not do has no code in every version of the server.
_IN_A_SCRIPT = re.compile("ACL failure in script|can't run this command")
_CODE = re.compile(rf"\b({'|'.join(_BY_CODE)})\b")


def trouble_of(error: BaseException) -> Trouble:
    """What the error means, in words of ours."""
    code = _CODE.search(str(error)) if isinstance(error, redis.ResponseError) else None
    if code is not None:
        return _BY_CODE[code[1]]
    if _CERTIFICATE in str(error):
        return _UNTRUSTED
    if _IN_A_SCRIPT.search(str(error)) and isinstance(error, redis.ResponseError):
        return _FORBIDDEN
    for kind in type(error).__mro__:
        if kind.__name__ in _BY_CLASS:
            return _BY_CLASS[kind.__name__]
    return Trouble(f"answers with an error ({type(error).__name__})", False)
