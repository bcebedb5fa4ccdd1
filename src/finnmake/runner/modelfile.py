"""Whether a file can be an ONNX model, told from its outermost structure alone, without ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from finnmake.errors import Location, ModelError

_LFS = b"version https://git-lfs"

#: ModelProto's field for the graph (onnx.proto3: `GraphProto graph = 7`).
_GRAPH = 7


def check_model(path: Path) -> None:
    """Raise ModelError for a file that is missing, empty, a Git-LFS pointer, truncated or no ONNX model.

    Reads the tags of the outermost protobuf message only (encoding: protobuf's "Encoding" specification),
    so that the time does not depend on the size.
    """
    where = Location(path=path)
    try:
        with open(path, "rb") as stream:
            if stream.read(len(_LFS)) == _LFS:
                raise ModelError(
                    "this is a Git-LFS pointer, not the model itself", where=where, cure="Run `git lfs pull`."
                )
            stream.seek(0)
            fields = _fields(stream, path.stat().st_size)
    except OSError as error:
        raise ModelError(
            f"the model cannot be read: {error.strerror}",
            where=where,
            cure="Correct `model` in the blueprint; it is relative to the blueprint's file.",
        ) from error
    except EOFError as error:
        raise ModelError(
            f"the model is truncated or not an ONNX file ({error})",
            where=where,
            cure="Copy or export it again.",
        ) from error
    if _GRAPH not in fields:
        raise ModelError("the file holds no ONNX graph", where=where, cure="Export the model again.")


def _fields(stream: BinaryIO, size: int) -> set[int]:
    """The numbers of the outermost fields. Raises EOFError where the message does not end with the file."""
    found = set()
    while stream.tell() < size:
        at = stream.tell()
        tag = _varint(stream)
        found.add(tag >> 3)
        match tag & 7:
            case 0:
                _varint(stream)
            case 1:
                stream.seek(8, 1)
            case 2:
                length = _varint(stream)
                stream.seek(length, 1)
            case 5:
                stream.seek(4, 1)
            case _:
                raise EOFError(f"no field begins at byte {at}")
    if stream.tell() != size:
        raise EOFError(f"{stream.tell() - size} bytes are missing at the end")
    return found


def _varint(stream: BinaryIO) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = stream.read(1)
        if not byte:
            raise EOFError("the file ends inside a number")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise EOFError("a number has more than ten bytes")
