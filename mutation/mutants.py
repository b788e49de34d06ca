"""Mutants: small changes of a source file."""

import ast
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_UNCHANGED_FIELDS = {"annotation", "returns", "decorator_list", "bases"}


@dataclass(frozen=True)
class Mutant:
    """One small change of a source file.

    Args:
        name: Function and change, with a number if the same change occurs several times in the function. The name does
            not change when lines move.
        line: Number of the changed line.
        function: Qualified name of the outermost enclosing function or method; None at module or class level.
        apply: Function that changes the tree from which the mutants were made.
    """

    name: str
    line: int
    function: str | None
    apply: Callable[[], None]


def mutants(tree: ast.Module) -> list[Mutant]:
    """Return all mutants of a parsed source file.

    They change comparisons, arithmetic, `and` and `or`, signs, numbers, booleans, conditions, returned values, keyword
    arguments and call statements. They do not change annotations, decorators, assertions, raised errors and strings.

    Args:
        tree: The parsed source file; applying a mutant changes it.
    """
    result: list[Mutant] = []
    occurrences: dict[str, int] = {}
    for owner, field, index, old, function in _nodes(tree, None, ""):
        for new in _alternatives(old, owner, field):
            change = f"{function or 'module'}: {_short(old)} -> {_short(new)}"
            occurrences[change] = occurrences.get(change, 0) + 1
            name = change if occurrences[change] == 1 else f"{change} (number {occurrences[change]})"
            replacement = ast.fix_missing_locations(ast.copy_location(new, old))

            def apply(
                owner: ast.AST = owner,
                field: str = field,
                index: int | None = index,
                new: ast.AST = replacement,
            ) -> None:
                if index is None:
                    setattr(owner, field, new)
                else:
                    getattr(owner, field)[index] = new

            result.append(Mutant(name, old.lineno, function, apply))
    return result


def _nodes(
    owner: ast.AST, function: str | None, prefix: str
) -> Iterator[tuple[ast.AST, str, int | None, ast.stmt | ast.expr, str | None]]:
    """Yield statements and expressions with their place in the tree and the outermost enclosing function."""
    for field, value in ast.iter_fields(owner):
        if field in _UNCHANGED_FIELDS or (isinstance(owner, ast.ClassDef) and field == "keywords"):
            continue
        for index, item in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(item, ast.AST) or isinstance(item, ast.Raise | ast.Assert):
                continue
            if isinstance(item, ast.stmt | ast.expr):
                yield owner, field, index, item, function
            inside, name = function, prefix
            if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef) and function is None:
                # Defaults are evaluated in the scope that defines the function.
                yield from _nodes(item.args, None, prefix)
                inside = f"{prefix}{item.name}"
                body = copy(item)
                body.args = ast.arguments([], [], None, [], [], None, [])
                # The copy shares its list of statements with the tree, so changes to the copy reach the tree.
                yield from _nodes(body, inside, prefix)
                continue
            if isinstance(item, ast.ClassDef) and function is None:
                name = f"{prefix}{item.name}."
            yield from _nodes(item, inside, name)


def _alternatives(node: ast.AST, owner: ast.AST, field: str) -> Iterator[ast.AST]:
    yield from _other_operators(node)
    match node:
        case ast.Constant(value=bool()):
            yield ast.Constant(not node.value)
        case ast.Constant(value=int()):
            yield ast.Constant(node.value + 1)
        case ast.Constant(value=float()):
            yield ast.Constant(2 * node.value if node.value else 1.0)
        case ast.Call():
            for place, keyword in enumerate(node.keywords):
                if keyword.arg is not None:
                    rest = node.keywords[:place] + node.keywords[place + 1 :]
                    yield ast.Call(node.func, node.args, rest)
        case ast.Return(value=ast.expr() as value) if not _is_none(value):
            yield ast.Return(ast.Constant(None))
        case ast.Expr(value=ast.Call()):
            yield ast.Pass()
    # A condition that is a single comparison or a `not` is already negated by another mutant.
    negated = (isinstance(node, ast.Compare) and len(node.ops) == 1) or isinstance(node, ast.UnaryOp)
    if field == "test" and isinstance(owner, ast.If | ast.While | ast.IfExp) and not negated:
        yield ast.UnaryOp(ast.Not(), node)


def _other_operators(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare():
            for place, operator in enumerate(node.ops):
                operators = list(node.ops)
                operators[place] = _COMPARISONS[type(operator)]()
                yield ast.Compare(node.left, operators, node.comparators)
        case ast.BinOp() if type(node.op) in _ARITHMETIC:
            yield ast.BinOp(node.left, _ARITHMETIC[type(node.op)](), node.right)
        case ast.AugAssign() if type(node.op) in _ARITHMETIC:
            yield ast.AugAssign(node.target, _ARITHMETIC[type(node.op)](), node.value)
        case ast.BoolOp():
            yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield node.operand


def _is_none(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def _short(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 160 else f"{text[:157]}..."
