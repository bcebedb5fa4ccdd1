"""The metadata of an ONNX file, read and added to without ONNX: `ModelProto.metadata_props`.

The numbers are those of onnx.proto3, the encoding that of https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

from collections.abc import Iterator

#: ModelProto's `metadata_props`, and StringStringEntryProto's `key` and `value`.
_METADATA, _KEY, _VALUE = 14, 1, 2


def entry(key: str, value: str) -> bytes:
    """What becomes an entry of the metadata when it is appended to an ONNX file's bytes."""
    return _field(_METADATA, _field(_KEY, key.encode()) + _field(_VALUE, value.encode()))


def read(data: bytes) -> list[tuple[str, str]]:
    """Key and value of every entry. Raises ValueError for what is no ONNX file."""
    try:
        pairs = [dict(_fields(content)) for number, content in _fields(data) if number == _METADATA]
        return [(pair.get(_KEY, b"").decode(), pair.get(_VALUE, b"").decode()) for pair in pairs]
    except IndexError as error:
        raise ValueError("the model is truncated or not an ONNX file") from error


def _field(number: int, content: bytes) -> bytes:
    """A field of text or of a message."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*encoded, value))


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at a place, and the place behind it. Raises IndexError."""
    value = shift = 0
    while data[at] > 0x7F:
        value |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
    return value | data[at] << shift, at + 1


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and content of those fields of a message that have a length. Raises IndexError, ValueError."""
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        match tag & 7:
            case 0:
                _, at = _read_varint(data, at)
            case 1:
                at += 8
            case 2:
                size, at = _read_varint(data, at)
                yield tag >> 3, data[at : at + size]
                at += size
            case 5:
                at += 4
            case kind:
                raise ValueError(f"the model is no ONNX file: no field is of wire type {kind}")
    if at != len(data):
        raise IndexError(at)
