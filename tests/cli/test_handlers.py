"""Finding the handler that the user named, and saying what is wrong with the name."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from trio_consumer import ConfigurationError
from trio_consumer.cli import handlers

MODULE = """
import functools

async def handle(record): ...
async def handle_two(record, more): ...
def plain(record): ...
async def with_default(record, more=None): ...

class Service:
    async def method(self, record): ...
    async def __call__(self, record): ...

service = Service()
bound = functools.partial(handle_two, more=1)
number = 3
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory with a module of the user's, which is the current one."""
    (tmp_path / "their_handlers.py").write_text(MODULE)
    (tmp_path / "their_package").mkdir()
    (tmp_path / "their_package" / "deep.py").write_text("async def handle(record): ...")
    (tmp_path / "broken.py").write_text("1 / 0")
    (tmp_path / "needy.py").write_text("import not_installed_anywhere")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize(
    "name",
    [
        "their_handlers:handle",
        "their_handlers:with_default",
        "their_handlers:service",
        "their_handlers:service.method",
        "their_handlers:bound",
        "their_package.deep:handle",
    ],
)
def test_an_async_callable_of_one_record_is_a_handler(name: str) -> None:
    handler = handlers.load(name)
    result = handler(None)  # type: ignore[arg-type]
    assert inspect.iscoroutine(result)
    result.close()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("their_handlers", "give module:function"),
        (":handle", "give module:function"),
        ("their_handlers:", "give module:function"),
        ("not_there:handle", "no module named 'not_there' in the current directory"),
        ("their_package.not_there:handle", r"no module named 'their_package\.not_there'"),
        ("their_handlers:handel", "there is no 'handel'; async functions there: bound, handle, handle_two, service"),
        ("their_handlers:service.nothing", "there is no 'nothing'"),
        ("their_handlers:number", "is no function but int"),
        ("their_handlers:plain", "is not async"),
        ("their_handlers:Service", "is not async"),
        ("their_handlers:handle_two", "must take one argument"),
        ("broken:handle", "importing broken failed: ZeroDivisionError"),
        ("needy:handle", "importing needy failed: No module named 'not_installed_anywhere'"),
    ],
)
def test_what_is_no_handler_is_explained(name: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        handlers.load(name)


def test_an_error_of_the_users_module_keeps_its_traceback() -> None:
    with pytest.raises(ConfigurationError) as raised:
        handlers.load("broken:handle")
    assert isinstance(raised.value.__cause__, ZeroDivisionError)
