"""Tokens in Redis, for processes on any number of machines."""

try:
    from rxauth.storage.redis.storage import RedisStorage
except ModuleNotFoundError as missing:
    if missing.name != "redis":
        raise
    raise ImportError("RedisStorage needs the package redis: pip install 'rxauth[redis]'") from missing

__all__ = [
    "RedisStorage",
]
