"""A place for each key: names that are safe in a path, in Redis and in a keyring."""

from __future__ import annotations

import hashlib
from typing import Final

_PLAIN: Final = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789_-")
#: File names that are devices on Windows.
_DEVICES: Final = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))}
#: A file's name may have 255 bytes, and its locks' names are longer.
_LONGEST: Final = 180


def name_for(key: str) -> str:
    """A name for a user's or tenant's record, one for each key: `FileStorage(folder / name_for(user))`,
    `RedisStorage(client, f"app:{name_for(user)}")`, `KeyringStorage("app", name_for(user))`.

    Keys come from outside, and `folder / "../bob"` would be somebody else's file. Here all but lower-case ASCII
    letters, digits, `_` and `-` is written as `%` and the hexadecimal number of its UTF-8 bytes: no name leads out of
    its folder, is a lock of another one or a device, and `Ada` and `ada` are two, also where a file system takes them
    for one. A long name is cut, and ends with a hash. Raises ValueError for "", TypeError for what is no text.
    """
    if not isinstance(key, str):
        raise TypeError(f"a key is a text, got {type(key).__name__}; write it as one, for example str(user_id)")
    if not key:
        raise ValueError("a key must not be empty: whose tokens would these be?")
    content = key.encode(errors="surrogatepass")
    name = "".join(chr(byte) if byte in _PLAIN else f"%{byte:02x}" for byte in content)
    if name in _DEVICES:
        return f"%{content[0]:02x}{name[1:]}"
    if len(name) > _LONGEST:
        return f"{name[:100]}~{hashlib.sha256(content).hexdigest()}"
    return name
