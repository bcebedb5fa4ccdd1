"""Digests of bytes and values: pure functions. Everything is SHA-256; values are tagged by their kind."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

#: Enters every key. Raise it whenever the meaning of a key, trace or state changes, so that results
#: made under the old meaning are not found under the new one.
KEY_VERSION = 1


def digest_bytes(data: bytes) -> str:
    """SHA-256 of `data`, 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def digest_file(path: Path) -> str:
    """SHA-256 of a file's content, 64 hexadecimal digits. Raises OSError where it cannot be read."""
    with open(path, "rb", buffering=0) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def canonical_json(value: Any) -> bytes:
    """The one spelling of a JSON value: sorted keys, no spaces, UTF-8. Raises TypeError for anything else.

    Names of files that are no UTF-8 keep their bytes (surrogates); `json.loads` of the bytes reads them.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")


def digest_value(tag: str, value: Any) -> str:
    """Digest of a JSON value of the kind `tag`: equal values of different kinds never collide."""
    return digest_bytes(tag.encode() + b"\0" + canonical_json(value))
