"""Conditions of rules: what a small expression may say, and whether it holds."""

import ast
import math
import warnings
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, Literal, TypeAlias

from simpleeval import SimpleEval

Kind: TypeAlias = Literal["number", "text", "condition"]
Value: TypeAlias = float | str | None
"""None where there is not enough to say."""

LONGEST = 500
"""Characters of an expression."""
DEEPEST = 20
"""Parts within parts."""
LARGEST = 1e9
"""Of a number that is written in an expression."""

Operator: TypeAlias = Callable[..., Any]


class WrongExpression(Exception):
    """One sentence on what is wrong; `name` is the text that the sentence is about, to find its line by."""

    def __init__(self, sentence: str, name: str = "") -> None:
        super().__init__(sentence)
        self.name = name


def _known(operator: Operator) -> Operator:
    """What follows from something that is not known is not known either."""
    return lambda *values: None if None in values else operator(*values)


OPERATORS: dict[type[ast.AST], Operator] = {
    ast.Add: _known(lambda a, b: a + b),
    ast.Sub: _known(lambda a, b: a - b),
    ast.Mult: _known(lambda a, b: a * b),
    ast.Div: lambda a, b: None if None in (a, b) or b == 0 else a / b,
    ast.Gt: _known(lambda a, b: a > b),
    ast.GtE: _known(lambda a, b: a >= b),
    ast.Lt: _known(lambda a, b: a < b),
    ast.LtE: _known(lambda a, b: a <= b),
    ast.Eq: _known(lambda a, b: a == b),
    ast.NotEq: _known(lambda a, b: a != b),
    ast.Not: _known(lambda a: not a),
    ast.USub: _known(lambda a: -a),
}
"""Nothing here can take long or grow large: there are no powers, and all numbers are floats."""


class _Evaluator(SimpleEval):  # type: ignore[misc]
    """simpleeval with our names and operators alone: it never looks into an object, and knows no functions."""

    def __init__(self) -> None:
        super().__init__(operators=OPERATORS, functions={}, names={})
        self.values: Mapping[str, Value] = {}
        self.nodes = {
            ast.BoolOp: self._eval_boolop,
            ast.Compare: self._eval_compare,
            ast.BinOp: self._eval_binop,
            ast.UnaryOp: self._eval_unaryop,
            ast.Constant: lambda node: _number(node.value),
            ast.Attribute: lambda node: _number(self.values[f"{node.value.id}.{node.attr}"]),
        }

    def _eval_boolop(self, node: ast.BoolOp) -> bool | None:
        """`and` and `or` of three values: unknown unless the known parts decide it."""
        decisive = isinstance(node.op, ast.Or)
        known = True
        for part in node.values:
            value = self._eval(part)
            if value is decisive:
                return bool(value)
            known = known and value is not None
        return not decisive if known else None


class Expression:
    """A condition over named values, such as `me.recent_talk_share > 0.65 and me.recent_talk_s >= 60`.

    There are numbers, texts in quotes, the given names, `+ - * /`, comparisons, `and`, `or`, `not` and brackets.
    Raises WrongExpression for anything else, for names that do not exist, and for texts where numbers belong.
    """

    def __init__(self, text: str, kinds: Mapping[str, Kind]) -> None:
        self._kinds, self._text = kinds, " ".join(text.split())
        self._tree = _parse(self._text)
        self._names: dict[str, None] = {}
        if self._check(self._tree, 0) != "condition":
            raise WrongExpression("it is no condition: compare something, as in 'me.talk_share > 0.6'")
        self.names = tuple(self._names)
        """The names in it, in their order."""
        self._evaluator = _Evaluator()

    def holds(self, values: Mapping[str, Value]) -> bool:
        """Whether it is true of these values, one for each of `names`; false where None leaves it open."""
        self._evaluator.values = values
        return self._evaluator.eval("", previously_parsed=self._tree) is True

    def _check(self, node: ast.expr, depth: int) -> Kind:
        """What kind of thing a part of the expression is."""
        if depth > DEEPEST:
            raise WrongExpression(f"it has more than {DEEPEST} brackets or signs within one another: write it simpler")
        match node:
            case ast.Constant():
                return _constant(node.value)
            case ast.Attribute(value=ast.Name()) | ast.Name():
                return self._name(_dotted(node))
            case ast.BoolOp():
                self._all(node.values, "condition", depth, "'and' and 'or' join comparisons")
                return "condition"
            case ast.UnaryOp(op=ast.Not()):
                self._all([node.operand], "condition", depth, "'not' stands before a comparison")
                return "condition"
            case ast.UnaryOp(op=ast.USub()):
                self._all([node.operand], "number", depth, "a minus stands before a number")
                return "number"
            case ast.BinOp(op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div()):
                self._all([node.left, node.right], "number", depth, "only numbers can be reckoned with")
                return "number"
            case ast.Compare():
                return self._comparison(node, depth)
        raise WrongExpression(
            f"{self._part(node)} may not stand there: there are names, numbers, texts in quotes, "
            "+ - * /, < <= > >= == !=, and, or, not and brackets"
        )

    def _comparison(self, node: ast.Compare, depth: int) -> Kind:
        kind = self._check(node.left, depth + 1)
        self._all(node.comparators, kind, depth, f"{self._part(node)} compares things of two kinds")
        order = kind == "number"
        for operator in node.ops:
            if type(operator) not in OPERATORS or (not order and not isinstance(operator, ast.Eq | ast.NotEq)):
                raise WrongExpression(f"{self._part(node)} has a comparison that a {kind} does not know")
        return "condition"

    def _all(self, nodes: list[ast.expr], kind: Kind, depth: int, rule: str) -> None:
        for node in nodes:
            if self._check(node, depth + 1) != kind:
                raise WrongExpression(f"{rule}, and {self._part(node)} is no {kind}")

    def _part(self, node: ast.expr) -> str:
        return repr((ast.get_source_segment(self._text, node) or "")[:60])

    def _name(self, name: str) -> Kind:
        if name not in self._kinds:
            raise WrongExpression(f"{name} does not exist{nearest(name, self._kinds)}", name)
        self._names[name] = None
        return self._kinds[name]


def nearest(name: str, known: Mapping[str, Any]) -> str:
    """A hint at the one of the known names that is most like this one, or at what may stand before the dot."""
    candidates = {one.rpartition(".")[2]: one for one in reversed(list(known))} if "." not in name else {}
    near = get_close_matches(name, [*known, *candidates], 1, 0.6)
    if near:
        return f"; did you mean {candidates.get(near[0], near[0])}?"
    scopes = dict.fromkeys(one.split(".")[0] for one in known if "." in one)
    return f": names begin with {', '.join(scopes)}, and a dot"


def _parse(text: str) -> ast.expr:
    if len(text) > LONGEST:
        raise WrongExpression(f"it has {len(text)} characters: {LONGEST} are the most")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's own, on odd texts and comparisons
            return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        near = text[max(0, (error.offset or 1) - 1) :][:20] if isinstance(error, SyntaxError) else ""
        raise WrongExpression(f"it cannot be read{f' near {near!r}' if near else ''}") from None


def _constant(value: object) -> Kind:
    if isinstance(value, str):
        return "text"
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST:
        return "number"
    raise WrongExpression(f"{str(value)[:20]} is no number up to {LARGEST:.0f} and no text in quotes")


def _dotted(node: ast.expr) -> str:
    return f"{_dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else node.id  # type: ignore[attr-defined]


def _number(value: Any) -> Value:
    if value is None or isinstance(value, str):
        return value
    return None if math.isnan(value) else float(value)
