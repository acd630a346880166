"""Finds the handler that the user named as ``module:function``.

The current directory comes first on the import path, as for ``python -m``. Everything that can be wrong about a name is
said in one line with the remedy; only an exception of the module's own code keeps its traceback, as the cause.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from ..errors import ConfigurationError
from ..record import Record


def load(name: str) -> Callable[[Record], Awaitable[object]]:
    """Import and check a handler.

    Args:
        name: ``module:function``, where the function may be nested: ``package.module:object.method``.

    Raises:
        ConfigurationError: There is no such thing, or it is no async function of one record.
    """
    module_name, colon, path = name.partition(":")
    if not colon or not module_name or not path:
        raise ConfigurationError(f"{name!r} names no handler: give module:function, for instance billing.orders:handle")
    handler: Any = _import(module_name)
    for part in path.split("."):
        try:
            handler = getattr(handler, part)
        except AttributeError:
            raise ConfigurationError(_missing(name, part, handler)) from None
    return _check(name, handler)


def _import(module_name: str) -> object:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # A module that the user's own module misses is not a misspelt handler.
        if error.name is not None and (module_name == error.name or module_name.startswith(error.name + ".")):
            found_in = f"the current directory ({here}) or the installed packages"
            raise ConfigurationError(f"no module named {error.name!r} in {found_in}") from None
        raise ConfigurationError(f"importing {module_name} failed: {error}") from error
    except Exception as error:
        raise ConfigurationError(f"importing {module_name} failed: {type(error).__name__}: {error}") from error


def _missing(name: str, part: str, holder: object) -> str:
    there = sorted(n for n, value in getattr(holder, "__dict__", {}).items() if n[0] != "_" and _is_async(value))
    known = f"; async functions there: {', '.join(there)}" if there else ""
    return f"{name}: there is no {part!r}{known}"


def _check(name: str, handler: Any) -> Callable[[Record], Awaitable[object]]:
    if not callable(handler):
        raise ConfigurationError(f"{name} is no function but {type(handler).__name__}")
    if not _is_async(handler):
        raise ConfigurationError(f"{name} is not async: declare it as 'async def ...(record: Record) -> None'")
    try:
        inspect.signature(handler).bind(None)
    except TypeError as error:
        raise ConfigurationError(f"{name} must take one argument, the record: {error}") from None
    checked: Callable[[Record], Awaitable[object]] = handler
    return checked


def _is_async(handler: Any) -> bool:
    while isinstance(handler, functools.partial):
        handler = handler.func
    if inspect.iscoroutinefunction(handler):
        return True
    # An object with an async __call__.
    return not inspect.isclass(handler) and inspect.iscoroutinefunction(getattr(type(handler), "__call__", None))  # noqa: B004
