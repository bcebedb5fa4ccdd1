"""The least good blueprint, and a table of parts, for the tests of this folder."""

from __future__ import annotations

GOOD = """\
name: small
model: ../models/net.onnx
design_space:
  config:
    fpga_part: xc7z020clg400-1
"""


class KnownParts:
    """One part is known."""

    def is_known_part(self, part: str) -> bool:
        return part == "xc7z020clg400-1"

    def known_parts_hint(self, part: str) -> list[str]:
        return ["xc7z020clg400-1"] if part.startswith("xc7") else []
