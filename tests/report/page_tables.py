"""The tables of a page as a reader sees them: under which headings, with which columns and cells."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass
class PageTable:
    """One table; `under` are the headings above it, outermost first."""

    under: tuple[str, ...]
    columns: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)


class _Reader(HTMLParser):
    """Collects tables, and the texts of paragraphs and list entries with the headings above them."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[PageTable] = []
        self.texts: list[tuple[tuple[str, ...], str]] = []
        self._headings: dict[str, str] = {}
        self._said: list[str] = []
        self._in_head = False

    @property
    def under(self) -> tuple[str, ...]:
        return tuple(self._headings[level] for level in sorted(self._headings))

    def handle_starttag(self, tag, attrs):
        if tag == "table":
            self.tables.append(PageTable(self.under))
        elif tag == "thead":
            self._in_head = True
        elif tag == "tr" and not self._in_head and self.tables:
            self.tables[-1].rows.append([])
        if tag in {"h2", "h3", "h4", "th", "td", "p", "li"}:
            self._said = []

    def handle_data(self, data):
        self._said.append(data)

    def handle_endtag(self, tag):
        said = "".join(self._said).strip()
        if tag in {"h2", "h3", "h4"}:
            self._headings = {level: text for level, text in self._headings.items() if level < tag}
            self._headings[tag] = said
        elif tag == "thead":
            self._in_head = False
        elif tag in {"th", "td"}:
            (self.tables[-1].columns if self._in_head else self.tables[-1].rows[-1]).append(said)
        elif tag in {"p", "li"}:
            self.texts.append((self.under, said))


def tables_of(page: str) -> list[PageTable]:
    """The tables of a page, in its order."""
    reader = _Reader()
    reader.feed(page)
    return reader.tables


def table_under(page: str, *headings: str) -> PageTable:
    """The only table right under these headings."""
    (found,) = (table for table in tables_of(page) if table.under == headings)
    return found


def texts_under(page: str, *headings: str) -> list[str]:
    """The paragraphs and list entries right under these headings."""
    reader = _Reader()
    reader.feed(page)
    return [text for under, text in reader.texts if under == headings]
