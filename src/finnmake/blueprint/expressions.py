"""Boolean expressions (`constraints`, `limits`): checked when read, evaluated by simpleeval."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from finnmake.blueprint.document import shortened
from finnmake.blueprint.names import did_you_mean
from finnmake.errors import BlueprintError, Location

#: What an expression may be made of: comparisons, `and`, `or`, `not`, arithmetic, lists, `a if b else c`.
_ALLOWED = (
    ast.Expression,
    ast.BoolOp,
    ast.UnaryOp,
    ast.BinOp,
    ast.Compare,
    ast.IfExp,
    ast.Name,
    ast.Constant,
    ast.List,
    ast.Tuple,
    ast.Load,
    ast.boolop,
    ast.unaryop,
    ast.operator,
    ast.cmpop,
)

#: The longest expression (characters), and how many levels it may have: parser and evaluation recurse.
_LONGEST = 1000
_DEEPEST = 100

#: Of a number that can be written in decimals.
_MOST_BITS = 4096

#: Constants as YAML spells them -> as an expression does.
_SPELLED = {"true": "True", "false": "False", "null": "None"}


@dataclass(frozen=True)
class Expression:
    """A condition over names.

    Attributes:
        text: as written, e.g. `lut_utilization <= 0.7`.
        where: its place in the blueprint.
    """

    text: str
    where: Location = field(default_factory=Location, compare=False)

    @classmethod
    def read(
        cls,
        text: str,
        where: Location,
        known: Collection[str],
        what: str,
        truths: Collection[str] | None = None,
    ) -> Expression:
        """The expression, checked as far as that can be done without values.

        Args:
            text: as written.
            where: its place in the blueprint.
            known: names that may be used.
            what: what those are, for messages.
            truths: those of the names that can be true or false; None for all.

        Raises:
            BlueprintError: no expression, not allowed in one, or a name that is not known.
        """
        expression = cls(text, where)
        for name in sorted(expression.names):
            if name not in known:
                near = f"Write {_SPELLED[name]}." if name in _SPELLED else did_you_mean(name, known)
                raise BlueprintError(
                    f"{name!r} in {shortened(text)!r} is no {what}",
                    where=where,
                    cure=near or f"There are {', '.join(sorted(known)) or 'none'}.",
                )
        if not _is_condition(expression._tree, known if truths is None else truths):
            raise expression._wrong("is neither true nor false")
        return expression

    @cached_property
    def names(self) -> frozenset[str]:
        """The names that it uses. Raises BlueprintError."""
        return frozenset(node.id for node in ast.walk(self._tree) if isinstance(node, ast.Name))

    @cached_property
    def _tree(self) -> ast.expr:
        if len(self.text) > _LONGEST:
            raise self._wrong(f"is longer than {_LONGEST} characters")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Python's advice on its own syntax
                tree = ast.parse(self.text.strip(), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            reason = error.msg if isinstance(error, SyntaxError) else str(error)
            raise self._wrong(f"is no expression: {reason}") from None
        if _levels(tree) > _DEEPEST:
            raise self._wrong(f"has more than {_DEEPEST} levels, one inside the other")
        for node in ast.walk(tree):
            if not isinstance(node, _ALLOWED):
                raise self._wrong(f"holds something else than comparisons and arithmetic ({_word(node)})")
            if isinstance(node, ast.BinOp) and any(map(_is_text, (node.left, node.right))):
                raise self._wrong("calculates with text")
        if not _is_condition(tree.body):
            raise self._wrong("is neither true nor false")
        return tree.body

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether it is true of these values. Raises BlueprintError where it cannot be said."""
        import simpleeval  # only blueprints with expressions need it

        evaluator = simpleeval.EvalWithCompoundTypes(names=dict(values), functions={})
        try:
            result = evaluator.eval(self.text, previously_parsed=self._tree)
        except (TypeError, ValueError, ArithmeticError, MemoryError, simpleeval.InvalidExpression) as error:
            shown = ", ".join(f"{name} = {_shown(values.get(name))}" for name in sorted(self.names))
            raise self._wrong(f"cannot be evaluated{f' where {shown}' if shown else ''}: {error}") from None
        if not isinstance(result, bool):
            raise self._wrong(f"gives {_shown(result)}, neither true nor false")
        return result

    def _wrong(self, why: str) -> BlueprintError:
        return BlueprintError(
            f"{self.text[:80]!r} {why}",
            where=self.where,
            cure="Write a condition, e.g. `synth_clk_period_ns >= 4 or target_fps < 10000`.",
        )


def _is_condition(node: ast.expr, truths: Collection[str] | None = None) -> bool:
    """Whether this can be true or false, by its form; `truths` are the names that can be, None for all."""
    if isinstance(node, ast.Compare):
        return True
    if isinstance(node, ast.Name):
        return truths is None or node.id in truths
    if isinstance(node, ast.Constant):
        return isinstance(node.value, bool)
    parts: list[ast.expr] = []
    if isinstance(node, ast.BoolOp):
        parts = node.values
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        parts = [node.operand]
    elif isinstance(node, ast.IfExp):
        parts = [node.body, node.orelse]
    return bool(parts) and all(_is_condition(part, truths) for part in parts)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _shown(value: Any) -> str:
    """A value for a message; Python does not write numbers of more than some thousand digits."""
    huge = isinstance(value, int) and value.bit_length() > _MOST_BITS
    return "a huge number" if huge else shortened(repr(value))


def _levels(tree: ast.AST) -> int:
    """How many nodes are one inside the other."""
    count = 0
    level = [tree]
    while level:
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        count += 1
    return count


def _word(node: ast.AST) -> str:
    return {ast.Call: "a call", ast.Attribute: "a dot", ast.Subscript: "brackets"}.get(
        type(node), type(node).__name__.lower()
    )
