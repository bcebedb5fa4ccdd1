"""Compiled templates, kept beside them as Python keeps its modules: compiling takes most of a page's time."""

from __future__ import annotations

import sys
from pathlib import Path

import jinja2
from jinja2.bccache import Bucket

from finnmake import templating
from finnmake.engine.parts import Parts
from finnmake.hashing import digest_value

#: The folder, in that of the templates.
FOLDER = "__pycache__"


class Bytecode(jinja2.BytecodeCache):
    """The templates of a folder, compiled: one file each, that holds what it was compiled from and by.

    What is damaged, or of another text, Jinja or Python, is compiled anew. Nothing is written where Python
    writes no bytecode, or where that cannot be.

    Args:
        templates: their folder.
    """

    def __init__(self, templates: Path) -> None:
        self._parts = Parts(templates / FOLDER)
        self._by = [jinja2.__version__, sys.version, Path(templating.__file__).read_text()]

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill the bucket with what is kept, where that is of the same text."""
        origin, _, code = (self._parts.get(_name(bucket)) or b"").partition(b"\n")
        if origin == self._origin(bucket):
            bucket.bytecode_from_string(code)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what is in the bucket."""
        if not sys.dont_write_bytecode:
            self._parts.put(_name(bucket), self._origin(bucket) + b"\n" + bucket.bytecode_to_string())

    def _origin(self, bucket: Bucket) -> bytes:
        return digest_value("template", [*self._by, bucket.checksum]).encode()


def _name(bucket: Bucket) -> str:
    return f"{bucket.key}.jinja"
