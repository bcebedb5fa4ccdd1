"""The least good blueprint, a table of parts and marks in texts, for the tests of this folder."""

from __future__ import annotations

GOOD = """\
name: small
model: ../models/net.onnx
design_space:
  config:
    fpga_part: xc7z020clg400-1
"""


def marked(text: str, mark: str = "§") -> tuple[str, str]:
    """The text without its mark, and where that was: `line:column`, from 1."""
    before = text[: text.index(mark)]
    return text.replace(mark, ""), f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


class KnownParts:
    """One part is known."""

    def is_known_part(self, part: str) -> bool:
        return part == "xc7z020clg400-1"

    def known_parts_hint(self, part: str) -> list[str]:
        return ["xc7z020clg400-1"] if part.startswith("xc7") else []
