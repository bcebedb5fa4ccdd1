"""`parts/` in the store: results of parts of steps, by the content that they were made of.

A part of a step, such as the synthesis of one layer, is the same in many builds whose steps differ. What it
gave lies here under a digest of all that it was made of. Whatever is damaged or gone is made again.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from finnmake.hashing import digest_bytes
from finnmake.whole import written_whole

#: The folder in the store.
FOLDER = "parts"


@dataclass(frozen=True)
class Parts:
    """Those of one kind.

    Attributes:
        folder: where they lie; made when the first is written.
    """

    folder: Path

    def get(self, key: str) -> bytes | None:
        """What is kept under a key; None where there is nothing, or it is not what was written."""
        path = self.folder / key
        try:
            digest, _, data = path.read_bytes().partition(b"\n")
        except OSError:
            return None
        if digest != digest_bytes(data).encode():
            return None
        with suppress(OSError):
            os.utime(path)  # the order of use, for collecting garbage
        return data

    def put(self, key: str, data: bytes) -> None:
        """Keep it; the file appears whole, whoever else writes the same. A full disk keeps nothing."""
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            with written_whole(self.folder / key) as part:
                part.write_bytes(digest_bytes(data).encode() + b"\n" + data)
