"""docs/errors.md is what its generator makes of the tables."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from finnmake.error_patterns import CATEGORIES, ERROR_PATTERNS
from finnmake.report.error_docs import render

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "errors.md"


def test_page_is_current() -> None:
    """After a change: `python -m finnmake.report.error_docs`."""
    assert PAGE.read_text(encoding="utf-8") == render(REPOSITORY / "templates")


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_category_has_a_section_that_says_something(category: str) -> None:
    section = PAGE.read_text(encoding="utf-8").partition(f"### {category}\n")[2].partition("\n##")[0]
    assert CATEGORIES[category] in section.lower()
    assert section.count("\n| `") == sum(entry.category == category for entry in ERROR_PATTERNS)
    words = section.partition("\n|")[0]
    if not any(entry.category == category for entry in ERROR_PATTERNS):
        assert len(words) > len(CATEGORIES[category]) + 10


def test_tables_are_whole() -> None:
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("| "):
            assert len(re.findall(r"(?<!\\)\|", line)) in (3, 4, 5), line
