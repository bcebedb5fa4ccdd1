"""Which configurations an exploration builds: all that are allowed, or a sample, in a stable order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count, islice

from finnmake.blueprint.space import DesignSpace
from finnmake.errors import Location, ValidationError
from finnmake.exploration.configs import allowed_positions
from finnmake.hashing import digest_value

#: Draws for each sample wanted, before the constraints are said to leave too little.
_DRAWS = 1000


def select(space: DesignSpace) -> Sequence[int]:
    """The positions to build, ascending, as `search` in the blueprint says.

    Raises ValidationError for a space too large for an exhaustive search, where a sample finds too little, or
    where the constraints leave none.
    """
    chosen = _chosen(space)
    if not chosen:
        raise space.nothing_left()
    return chosen


def _chosen(space: DesignSpace) -> Sequence[int]:
    search = space.search_config
    if search.strategy == "random":
        return sorted(_sample(space, search.samples or 0)[: search.max_builds])
    if space.size > search.max_combinations:
        raise space.too_many(space.hw_compiler_space.axes)
    if not space.constraints:
        return range(space.size)[: search.max_builds]
    return list(islice(allowed_positions(space), search.max_builds))


def _sample(space: DesignSpace, wanted: int) -> list[int]:
    """Positions drawn without putting back; a larger sample of the same seed holds the smaller one.

    The n-th draw is a digest of seed and n: the same on every version of Python.
    """
    draws = _draws(space.search_config.seed, space.size)
    if space.size <= space.search_config.max_combinations:
        allowed = list(allowed_positions(space))
        if wanted >= len(allowed):
            return allowed
        draws = (allowed[number] for number in _draws(space.search_config.seed, len(allowed)))
    found: dict[int, None] = {}
    for position in islice(draws, _DRAWS * wanted):
        if position not in found and space.allows(position):
            found[position] = None
            if len(found) == wanted:
                return list(found)
    raise ValidationError(
        f"{_DRAWS * wanted:,} draws found only {len(found):,} of {wanted:,} samples "
        "that the constraints allow",
        where=space.lines.get("search.samples") or Location(space.path),
        cure="Ask for fewer samples, or take the values that are always excluded out of the axes.",
    )


def _draws(seed: int, size: int) -> Iterator[int]:
    """Numbers below `size`, without an end."""
    return (int(digest_value("sample", [seed, draw]), 16) % size for draw in count())
