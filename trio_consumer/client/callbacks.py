"""The user's callbacks and librdkafka's log, made safe.

An exception that leaves a callback makes the binding drop the records that it holds, and can hang its close(). So
nothing leaves: what a callback of the user's raises is handed over as `CallbackFailed`, which ends the consumer. Only
``oauth_cb`` raises it on, because librdkafka must learn that there is no token.

The callbacks run on the client's thread while it polls, ``oauth_cb`` also on one of librdkafka's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import CallbackFailed, ConfigurationError
from .repeats import Repeats

log = logging.getLogger("trio_consumer.client.librdkafka")
"""What librdkafka itself logs."""
log.addFilter(Repeats())

WRAPPED = ("stats_cb", "throttle_cb", "oauth_cb")
"""Callbacks of the user's that need nothing but a net. ``error_cb`` and ``logger`` are treated on their own."""

Report = Callable[[Exception], None]


def guard(name: str, callback: Callable[..., object], report: Report) -> Callable[..., Any]:
    """The user's callback with a net under it."""

    def guarded(*arguments: Any) -> Any:
        try:
            return callback(*arguments)
        except BaseException as error:  # noqa: ASYNC103  nothing may leave a callback, and no Trio task runs here
            report(_failure(name, error))
            if name == "oauth_cb":
                raise
            return None  # noqa: ASYNC104  as above

    return guarded


class GuardedLogger:
    """Passes librdkafka's log lines on to a logger.

    Args:
        target: Anything with a method ``log``, for instance a `logging.Logger`.
        report: Takes what the logger raises, the first time.
    """

    def __init__(self, target: Any, report: Report) -> None:
        self._target = target
        self._report = report
        self._failed = False

    def log(self, level: int, text: str, *arguments: object) -> None:
        try:
            self._target.log(level, text, *arguments)
        except BaseException as error:  # noqa: ASYNC103  as in guard()
            if not self._failed:
                self._failed = True
                self._report(_failure("logger", error))


def install(settings: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """The settings with every callback of the user's guarded, and a logger.

    ``error_cb`` is left out: the client's thread needs it, and calls the user's.

    Raises:
        ConfigurationError: A callback can't be called.
    """
    installed = dict(settings)
    installed.pop("error_cb", None)
    for name in (*WRAPPED, "error_cb"):
        callback = settings.get(name)
        if callback is not None and not callable(callback):
            raise ConfigurationError(f"{name}={callback!r}: give a function")
        if callback is not None and name in WRAPPED:
            installed[name] = guard(name, callback, report)
    theirs = settings.get("logger")
    if theirs is not None and not callable(getattr(theirs, "log", None)):
        raise ConfigurationError(f"logger={theirs!r}: give a logging.Logger, or another object with its method log()")
    installed["logger"] = GuardedLogger(log if theirs is None else theirs, report)
    return installed


def _failure(name: str, error: BaseException) -> CallbackFailed:
    failure = CallbackFailed(name)
    failure.__cause__ = error
    return failure
