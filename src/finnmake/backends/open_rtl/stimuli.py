"""Values to beats and back, by QONNX datatype and folded shape, and random values.

A beat is `width / 8` bytes, the lowest first. Element 0 lies in the low bits, elements follow one another
without gaps, in two's complement, and zeros fill the bits above. FINN packs so too, from and to float32, that
holds integers up to 2^24 only: sums may be more, so this module goes by integers of 64 bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from finnmake.backends.open_rtl.design import Port, Stream
from finnmake.errors import StepError

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The widest element, in bits.
_WIDEST = 64


def pack(values: NDArray[Any], port: Port | Stream) -> NDArray[np.uint8]:
    """The beats of whole inferences.

    Args:
        values: of any shape; their number is a multiple of that of an inference, and their order that of the
            folded shape.
        port: goes by its datatype, folded shape and width.

    Returns:
        Shape (inferences, beats, width / 8).

    Raises:
        StepError: values that the datatype does not have, or no whole inferences.
    """
    elements, bits = _folded(port)
    codes = _codes(values, port)
    if codes.size % (port.beats * elements) != 0:
        raise _wrong(
            port, f"{codes.size} values are no whole inferences of {port.beats * elements} values each"
        )
    beats = codes.reshape(-1, elements)
    if bits % 8 == 0:
        packed = beats.astype("<u8").view(np.uint8).reshape(-1, elements, 8)[:, :, : bits // 8]
        packed = packed.reshape(len(beats), -1)
    else:
        places = np.arange(bits, dtype=np.uint64)
        spread = (beats[:, :, np.newaxis] >> places & np.uint64(1)).astype(np.uint8)
        packed = np.packbits(spread.reshape(len(beats), -1), axis=1, bitorder="little")
    whole = np.zeros((len(beats), port.width // 8), np.uint8)
    whole[:, : packed.shape[1]] = packed
    return whole.reshape(-1, port.beats, port.width // 8)


def unpack(beats: NDArray[np.uint8], port: Port | Stream) -> NDArray[Any]:
    """The values of whole inferences.

    Args:
        beats: of any shape, as many bytes as whole inferences have.
        port: goes by its datatype, folded shape, shape and width.

    Returns:
        Shape (inferences, *shape without its batch of 1); int64, of fixed point and float datatypes float64.

    Raises:
        StepError: no whole inferences.
    """
    whole = port.beats * port.width // 8
    if beats.size % whole != 0:
        raise _wrong(port, f"{beats.size} bytes are no whole inferences of {whole} bytes each")
    return elements(beats, port).reshape(-1, *_inference(port))


def elements(beats: NDArray[np.uint8], port: Port | Stream) -> NDArray[Any]:
    """The values of whole beats, one after another; see `unpack`."""
    count, bits = _folded(port)
    rows = np.ascontiguousarray(beats).reshape(-1, port.width // 8)
    spread = np.unpackbits(rows, axis=1, count=count * bits, bitorder="little")
    octets = np.packbits(spread.reshape(-1, bits), axis=1, bitorder="little")
    wide = np.zeros((len(octets), 8), np.uint8)
    wide[:, : octets.shape[1]] = octets
    return _values(wide.view("<u8").reshape(-1).astype(np.uint64), port)


def random_values(port: Port | Stream, inferences: int, seed: int) -> NDArray[Any]:
    """Random values of a port's datatype, all of them as likely; floats are between -1 and 1.

    Returns:
        Shape (inferences, *shape without its batch of 1); the same for the same seed and port name.
    """
    datatype = _datatype(port)
    generator = np.random.default_rng([seed, *port.name.encode()])
    shape = (inferences, *_inference(port))
    if datatype.name.startswith("FLOAT"):
        kind = np.dtype(f"f{datatype.bitwidth() // 8}")
        return generator.uniform(-1, 1, shape).astype(kind).astype(np.float64)
    if datatype.name == "BIPOLAR":
        return generator.integers(0, 2, shape) * 2 - 1
    scale = _scale(datatype)
    low, high = int(datatype.min() / scale), int(datatype.max() / scale)
    codes = generator.integers(low, high, shape, endpoint=True)
    return codes if scale == 1 else codes * scale


def _inference(port: Port | Stream) -> tuple[int, ...]:
    """The shape of one inference. A batch of 1 is no part of it."""
    return port.shape[1:] if len(port.shape) > 1 else port.shape


def _datatype(port: Port | Stream) -> Any:
    from qonnx.core.datatype import DataType

    return DataType[port.datatype]


def _folded(port: Port | Stream) -> tuple[int, int]:
    """Elements in a beat and bits of one. Raises StepError where the beat cannot hold them."""
    elements, bits = port.folded_shape[-1], int(_datatype(port).bitwidth())
    if elements * bits > port.width or bits > _WIDEST:
        raise _wrong(port, f"{elements} elements of {bits} bits do not fit into {port.width} bits")
    return elements, bits


def _scale(datatype: Any) -> float:
    """What one unit of an element's integer stands for."""
    return float(datatype.scale_factor()) if datatype.is_fixed_point() else 1


def _codes(values: NDArray[Any], port: Port | Stream) -> NDArray[np.uint64]:
    """The bits of each value, in the low bits of an integer."""
    datatype = _datatype(port)
    bits = datatype.bitwidth()
    if datatype.name.startswith("FLOAT"):
        floats = np.asarray(values).astype(f"<f{bits // 8}")
        return floats.view(f"<u{bits // 8}").astype(np.uint64)
    units = np.asarray(values) / _scale(datatype) if datatype.is_fixed_point() else np.asarray(values)
    whole = units.astype(np.int64)
    low, high = (int(bound / _scale(datatype)) for bound in (datatype.min(), datatype.max()))
    bad = (whole != units) | (whole < low) | (whole > high)
    if datatype.name == "BIPOLAR":
        bad |= whole == 0
        whole = (whole + 1) // 2
    if bad.any():
        raise _wrong(port, f"{np.asarray(values)[bad].flat[0]} is no {datatype.name}")
    mask = np.uint64((1 << bits) - 1)
    return whole.astype(np.uint64) & mask


def _values(codes: NDArray[np.uint64], port: Port | Stream) -> NDArray[Any]:
    datatype = _datatype(port)
    bits = datatype.bitwidth()
    if datatype.name.startswith("FLOAT"):
        return codes.astype(f"<u{bits // 8}").view(f"<f{bits // 8}").astype(np.float64)
    if datatype.name == "BIPOLAR":
        return codes.astype(np.int64) * 2 - 1
    if datatype.signed():
        unused = np.uint64(64 - bits)
        whole = (codes << unused).view(np.int64) >> np.int64(64 - bits)
    else:
        whole = codes.astype(np.int64)
    return whole * _scale(datatype) if datatype.is_fixed_point() else whole


def _wrong(port: Port | Stream, message: str) -> StepError:
    return StepError(
        "simulate",
        f"{port.name} ({port.tensor}, {port.datatype}, folded as {port.folded_shape}): {message}",
        category="config",
        cure="Give inputs of the model's datatype and shape.",
    )
