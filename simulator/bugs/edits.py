"""Edits of functions in memory: a piece of a function's source is replaced, and the function runs the result.

The function object stays, only its code is exchanged. So whoever holds it already, under whatever name, is affected,
and undoing leaves the very code that was there.

An edit names the text that it replaces. If the function has changed, so that the text is no longer there, or is there
twice, `EditDoesNotApply` is raised: a refactoring must not turn a planted bug into one that plants nothing.
"""

from __future__ import annotations
import __future__

import ast
import functools
import importlib
import inspect
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import CodeType, FunctionType

import attrs

from trio_consumer.errors import TrioConsumerError


class EditDoesNotApply(TrioConsumerError):
    """The code is no longer what the edit was written for. Write it anew for the code of today."""


@attrs.frozen
class Edit:
    """One replacement in the source of one function.

    Args:
        target: Where the function is, as ``"package.module:Class.method"``.
        old: What is replaced. Lines after the first are indented relative to it. It stands in the source exactly once.
        new: What comes instead, indented in the same way.
    """

    target: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.target}: {self.old!r} -> {self.new!r}"


def function_at(target: str) -> FunctionType:
    """The function that a target names; of a property its getter.

    Raises:
        EditDoesNotApply: There is none.
    """
    module_name, _, path = target.partition(":")
    try:
        found: object = importlib.import_module(module_name)
        for name in path.split("."):
            found = inspect.getattr_static(found, name)
    except (ImportError, AttributeError):
        raise EditDoesNotApply(f"{target}: there is no such function") from None
    if isinstance(found, property):
        found = found.fget
    elif isinstance(found, (staticmethod, classmethod)):
        found = found.__func__
    found = inspect.unwrap(found) if callable(found) else found
    if not isinstance(found, FunctionType):
        raise EditDoesNotApply(f"{target}: it is no function of Python")
    return found


def edited(source: str, edit: Edit) -> str:
    """The source of a function after an edit.

    Raises:
        EditDoesNotApply: What it replaces is not there, or more than once.
    """
    found: list[tuple[int, str]] = []
    start = 0
    for line in source.splitlines(keepends=True):
        indent = line[: len(line) - len(line.lstrip())]
        old = _indented(edit.old, indent)
        at = line.find(old.splitlines()[0])
        while at >= 0:
            if source.startswith(old, start + at):
                found.append((start + at, indent))
            at = line.find(old.splitlines()[0], at + 1)
        start += len(line)
    if len(found) != 1:
        times = "is not there" if not found else f"is there {len(found)} times"
        raise EditDoesNotApply(f"{edit.target}: {edit.old!r} {times}; the function has changed")
    at, indent = found[0]
    return source[:at] + _indented(edit.new, indent) + source[at + len(_indented(edit.old, indent)) :]


def _indented(text: str, indent: str) -> str:
    return text.replace("\n", f"\n{indent}")


@contextmanager
def applied(edits: Sequence[Edit]) -> Iterator[None]:
    """The functions run with these edits inside of the block, and as before after it.

    Raises:
        EditDoesNotApply: One of them does not fit the code, or changes nothing. Then nothing was changed.
    """
    by_target: dict[str, list[Edit]] = {}
    for edit in edits:
        by_target.setdefault(edit.target, []).append(edit)
    changes = [(function_at(target), _code(target, tuple(some))) for target, some in by_target.items()]
    with ExitStack() as undo:
        for function, code in changes:
            undo.callback(setattr, function, "__code__", function.__code__)
            function.__code__ = code
        yield


@functools.cache
def _code(target: str, edits: tuple[Edit, ...]) -> CodeType:
    function = function_at(target)
    source = before = textwrap.dedent(_source(function, target))
    for edit in edits:
        source = edited(source, edit)
    try:
        new, old = ast.parse(source), ast.parse(before)
    except SyntaxError as error:
        raise EditDoesNotApply(f"{target}: the edit makes no Python of it: {error}") from error
    if ast.dump(new) == ast.dump(old):
        raise EditDoesNotApply(f"{target}: the edit changes nothing")
    ast.increment_lineno(new, function.__code__.co_firstlineno - 1)
    return _compiled(target, new, function)


def _source(function: FunctionType, target: str) -> str:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError) as error:
        raise EditDoesNotApply(f"{target}: its source is not at hand: {error}") from error


def _compiled(target: str, tree: ast.Module, function: FunctionType) -> CodeType:
    """The code of the one function in the tree, with the free variables of the original."""
    definition = tree.body[0]
    if not isinstance(definition, (ast.FunctionDef, ast.AsyncFunctionDef)):
        raise EditDoesNotApply(f"{target}: its source is no definition of a function")
    definition.decorator_list = []
    code = compile(
        tree,
        function.__code__.co_filename,
        "exec",
        flags=__future__.annotations.compiler_flag,
        dont_inherit=True,
    )
    for constant in code.co_consts:
        if isinstance(constant, CodeType) and constant.co_name == function.__code__.co_name:
            if constant.co_freevars != function.__code__.co_freevars:
                raise EditDoesNotApply(f"{target}: it uses names of an enclosing function")
            return constant.replace(co_qualname=function.__code__.co_qualname)
    raise EditDoesNotApply(f"{target}: its source does not define {function.__code__.co_name}")
