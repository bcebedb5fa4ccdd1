"""Which configurations are built: all, a sample, or a clear refusal."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finnmake.blueprint.expressions import Expression
from finnmake.blueprint.space import DesignSpace, SearchConfig
from finnmake.errors import Location, ValidationError
from finnmake.exploration.selection import select
from tests.exploration.spaces import small

NUMBERS = {"a": range(10), "b": range(10)}


def searched(flags: Any = NUMBERS, constraint: str = "", **search: Any) -> DesignSpace:
    constraints = (Expression(constraint),) if constraint else ()
    return small(flags, search_config=SearchConfig(**search), constraints=constraints)


def sample(wanted: int, constraint: str = "", **search: Any) -> list[int]:
    return list(select(searched(constraint=constraint, strategy="random", samples=wanted, **search)))


def test_an_exhaustive_search_builds_all_in_order() -> None:
    assert list(select(searched())) == list(range(100))


def test_constraints_are_left_out() -> None:
    assert list(select(searched(constraint="a == b"))) == [11 * n for n in range(10)]


def test_at_most_max_builds_are_built() -> None:
    assert list(select(searched(max_builds=3))) == [0, 1, 2]
    assert list(select(searched(constraint="a == b", max_builds=3))) == [0, 11, 22]
    assert len(sample(20, max_builds=3)) == 3


def test_a_space_that_is_too_large_is_refused_with_the_axes_that_make_it() -> None:
    space = searched({**NUMBERS, "fixed": [1]}, max_combinations=99)
    with pytest.raises(
        ValidationError, match=re.escape("100 combinations are more than max_combinations (99): ")
    ):
        select(space)
    with pytest.raises(ValidationError, match=re.escape("config.a (10) × config.b (10)\n  -> ")):
        select(space)


@settings(deadline=None)
@given(st.integers(1, 100), st.integers(0, 2**64))
def test_a_sample_is_allowed_ascending_and_without_doubles(wanted: int, seed: int) -> None:
    found = sample(wanted, constraint="a != b", seed=seed)
    assert len(found) == min(wanted, 90)
    assert found == sorted(set(found))
    assert not [at for at in found if at % 11 == 0]


@settings(deadline=None)
@given(st.integers(1, 80), st.integers(0, 20), st.integers(0, 99))
def test_a_larger_sample_of_a_seed_holds_the_smaller(wanted: int, more: int, seed: int) -> None:
    assert set(sample(wanted, seed=seed)) <= set(sample(wanted + more, seed=seed))


def test_a_sample_depends_on_the_seed_alone() -> None:
    assert sample(5, seed=1) == sample(5, seed=1) == [14, 38, 47, 77, 94]
    assert sample(5, seed=1) != sample(5, seed=2)


def test_a_huge_space_is_sampled_without_being_made() -> None:
    space = searched({f"axis_{n}": range(1000) for n in range(9)}, strategy="random", samples=4)
    found = select(space)
    assert len(found) == 4
    assert found[-1] > 10**9


def test_a_sample_of_what_is_hardly_ever_allowed_says_so() -> None:
    space = small(
        {f"axis_{n}": range(1000) for n in range(3)},
        search_config=SearchConfig(strategy="random", samples=2),
        constraints=(Expression("axis_0 == 1 and axis_1 == 1"),),
        lines={"search.samples": Location(Path("b.yaml"), 9)},
    )
    with pytest.raises(ValidationError, match=r"^b.yaml:9: 2,000 draws found only \d of 2 samples"):
        select(space)


def test_a_sample_is_found_where_the_constraints_allow_little() -> None:
    space = replace(
        small({"a": range(300), "b": range(10)}),
        constraints=(Expression("a < 10"),),
        search_config=SearchConfig("random", samples=99),
    )
    assert len(set(select(space))) == 99
    assert all(space.allows(position) for position in select(space))


def test_max_builds_takes_a_random_part_of_a_random_sample() -> None:
    space = replace(small(NUMBERS), search_config=SearchConfig("random", samples=50))
    few = replace(space, search_config=SearchConfig("random", samples=50, max_builds=5))
    assert set(select(few)) < set(select(space))
    assert list(select(few)) != list(select(space))[:5]
