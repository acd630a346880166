"""The rules of the code base that a machine can check.

Each checker takes source text, so that it is first shown to catch a violation and then let loose on the tree. A rule
that cannot fail is not a rule.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import attrs
import pytest

import trio_consumer
from trio_consumer.config import ConsumerConfig, ConsumerOptions

ROOT = Path(__file__).parents[1]
PACKAGE = "trio_consumer"
SIMULATOR = "simulator"
MODULE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70

Checker: TypeAlias = Callable[[str, str], list[str]]
"""From a module's dotted name and its source to what is wrong with it."""

# Who may import whom


@attrs.frozen
class ImportRule:
    """Modules at or below `scope`, except those at or below `but`, keep to this.

    Args:
        scope: Dotted names of the modules that it binds.
        why: Shown with a violation.
        but: Dotted names of the modules that it does not bind.
        never: They import none of these.
        ours: Of our own package they import only these; ``None`` for no limit.
    """

    scope: tuple[str, ...]
    why: str
    but: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    ours: tuple[str, ...] | None = None


PURE = tuple(f"{PACKAGE}.{name}" for name in ("core", "config", "errors", "record", "statistics", "client.port"))
EFFECTS = (
    *("asyncio", "concurrent", "confluent_kafka", "ctypes", "datetime", "multiprocessing", "os", "outcome", "queue"),
    *("secrets", "select", "signal", "socket", "subprocess", "threading", "time", "trio", "uuid"),
)

IMPORT_RULES = (
    ImportRule(
        scope=PURE,
        never=EFFECTS,
        why="decisions are pure: time and randomness are arguments, and I/O is the shell's",
    ),
    ImportRule(
        scope=(f"{PACKAGE}.core",),
        ours=PURE,
        why="imports point one way: command line, shell, core",
    ),
    ImportRule(
        scope=(f"{PACKAGE}.client",),
        ours=tuple(f"{PACKAGE}.{name}" for name in ("client", "errors", "record")),
        why="adapters know the port and nothing of the consumer",
    ),
    ImportRule(
        scope=(f"{PACKAGE}.client.port", f"{PACKAGE}.statistics"),
        ours=(f"{PACKAGE}.errors", f"{PACKAGE}.record"),
        why="everybody depends on them",
    ),
    ImportRule(
        scope=(PACKAGE,),
        but=(f"{PACKAGE}.client", f"{PACKAGE}.cli"),
        never=("confluent_kafka", "ctypes", "threading", "time", "queue", "asyncio"),
        why="the consumer knows Kafka by the port, and time by Trio's clock",
    ),
    ImportRule(
        scope=(PACKAGE,),
        but=(f"{PACKAGE}.cli", f"{PACKAGE}.__main__"),
        never=("cyclopts", "rich", f"{PACKAGE}.cli"),
        why="the command line is an extra",
    ),
    ImportRule(
        scope=(PACKAGE,),
        never=("simulator", "tests", "benchmarks", "pytest", "hypothesis"),
        why="what ships does not depend on what tests it",
    ),
    ImportRule(
        scope=tuple(f"{SIMULATOR}.{name}" for name in ("kafka", "client", "world", "faults", "oracles", "runtime")),
        but=(f"{SIMULATOR}.runtime.isolation", f"{SIMULATOR}.runtime.trio_internals", f"{SIMULATOR}.runtime.digest"),
        never=tuple(name for name in EFFECTS if name not in ("confluent_kafka", "outcome", "trio")),
        why="a seed decides all that happens in a world",
    ),
    ImportRule(
        scope=(SIMULATOR,),
        but=(f"{SIMULATOR}.runtime.trio_internals",),
        never=("trio._core",),
        why="all that depends on Trio's insides is in one file",
    ),
    ImportRule(
        scope=tuple(f"{SIMULATOR}.{name}" for name in ("kafka", "oracles", "faults.catalogue", "world.history")),
        never=("trio",),
        why="brokers and oracles are plain code: only the consumer and its handlers are tasks",
    ),
    ImportRule(
        scope=tuple(f"{SIMULATOR}.{name}" for name in ("runtime", "kafka", "client", "world", "faults", "oracles")),
        never=tuple(f"{SIMULATOR}.{name}" for name in ("bugs", "cli", "report", "tools", "checking", "machine")),
        why="imports point one way: tools, world, clients, brokers",
    ),
    ImportRule(
        scope=(SIMULATOR,),
        never=("tests", "benchmarks"),
        why="what ships does not depend on what tests it",
    ),
    ImportRule(
        scope=("tests",),
        never=("mock", "unittest"),
        why="connect two real ends instead of mocking one",
    ),
)


def imports(module: str, source: str) -> Iterator[tuple[int, str]]:
    """Line and absolute dotted name of everything that is imported; `from a import b` gives ``a.b``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            # A package is passed as "a.b.__init__", so that one dot always drops one component.
            base = module.split(".")[: -node.level] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{origin}.{alias.name}"


def below(name: str, prefixes: Collection[str]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def wrong_imports(module: str, source: str) -> list[str]:
    found = []
    for rule in IMPORT_RULES:
        if not below(module, rule.scope) or below(module, rule.but):
            continue
        for line, name in imports(module, source):
            foreign = rule.ours is not None and below(name, [PACKAGE]) and not below(name, rule.ours)
            if foreign or below(name, rule.never):
                found.append(f"{module}:{line} imports {name}: {rule.why}")
    return found


def drawn_randomness(module: str, source: str) -> list[str]:
    """A pure module may name the type `random.Random`, and nothing else of that module."""
    if not below(module, PURE):
        return []
    tree = ast.parse(source)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    found = [
        f"{module}:{line} imports {name}: take a random.Random as an argument"
        for line, name in imports(module, source)
        if below(name, ["random"]) and name not in ("random", "random.Random")
    ]
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="random"), attr=name) if name != "Random" or id(node) in called:
                found.append(f"{module}:{node.lineno} uses random.{name}: take a random.Random as an argument")
    return found


# Sizes and habits


def too_long(module: str, source: str) -> list[str]:
    """A function is as long as its body: neither a docstring nor many declared options make it hard to read."""
    lines = len(source.splitlines())
    found = [f"{module} has {lines} lines: split it"] if lines > MODULE_LINES_MAX else []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            lines = (node.end_lineno or node.lineno) - body[0].lineno + 1 if body else 0
            if lines > FUNCTION_LINES_MAX:
                found.append(f"{module}:{node.lineno} {node.name} has {lines} lines: split it")
    return found


def asserts(module: str, source: str) -> list[str]:
    return [
        f"{module}:{node.lineno} asserts: raise an explicit exception"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Assert)
    ]


def no_theory(module: str, source: str) -> list[str]:
    """Each module opens with a docstring. An empty ``__init__`` has nothing to say."""
    tree = ast.parse(source)
    return [f"{module} has no docstring"] if tree.body and ast.get_docstring(tree) is None else []


LOG_METHODS = ("debug", "info", "warning", "error", "exception", "critical", "log")


def eager_logging(module: str, source: str) -> list[str]:
    """The text of a log call is a constant: formatting costs, and constant texts can be searched for."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LOG_METHODS):
            continue
        if "log" not in ast.unparse(node.func.value).lower():
            continue
        text = node.args[1:2] if node.func.attr == "log" else node.args[:1]
        if text and not isinstance(text[0], (ast.Constant, ast.Name)):
            found.append(f"{module}:{node.lineno} formats a log text: pass the arguments instead")
    return found


def foreign_privates(module: str, source: str) -> list[str]:
    """Tests use what users can use. One test is about what we use of Trio's insides."""
    if module == "tests.simulator.test_runtime_trio":
        return []
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and re.match(r"_(?!_|replace|asdict|fields)", node.attr):
            owner = ast.unparse(node.value)
            if owner not in ("self", "cls", "os", "KafkaError"):  # os._exit and KafkaError._TRANSPORT are public
                found.append(f"{module}:{node.lineno} uses {owner}.{node.attr}: test what is public")
    return found


def more_than_facade(module: str, source: str) -> list[str]:
    """The façade imports and lists names; it decides nothing."""
    found = []
    for node in ast.parse(source).body:
        listing = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in ("__all__", "__version__")
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not (isinstance(node, (ast.Import, ast.ImportFrom)) or listing or docstring):
            found.append(f"{module}:{node.lineno} is more than a façade")
    return found


# Each checker catches what it is for

VIOLATIONS: Sequence[tuple[Checker, str, str]] = (
    (wrong_imports, f"{PACKAGE}.core.lanes", "import trio"),
    (wrong_imports, f"{PACKAGE}.core.lanes", "from time import monotonic"),
    (wrong_imports, f"{PACKAGE}.core.lanes", "import threading.local"),
    (wrong_imports, f"{PACKAGE}.core.lanes", "from ..consumer import Consumer"),
    (wrong_imports, f"{PACKAGE}.core.lanes", "from .. import consumer"),
    (wrong_imports, f"{PACKAGE}.core.__init__", "from ..consumer import Consumer"),
    (wrong_imports, f"{PACKAGE}.core.lanes", "def f():\n    import trio.lowlevel"),
    (wrong_imports, f"{PACKAGE}.client.port", "from ..config import ConsumerConfig"),
    (wrong_imports, f"{PACKAGE}.client.confluent", "from ..core.tenures import Tenure"),
    (wrong_imports, f"{PACKAGE}.consumer", "import confluent_kafka"),
    (wrong_imports, f"{PACKAGE}.consumer", "from confluent_kafka.admin import AdminClient"),
    (wrong_imports, f"{PACKAGE}.consumer", "from .cli import main"),
    (wrong_imports, f"{PACKAGE}.cli.demo", "import simulator.broker"),
    (wrong_imports, f"{PACKAGE}.client.embedded", "import rich"),
    (wrong_imports, f"{SIMULATOR}.kafka.log", "import time"),
    (wrong_imports, f"{SIMULATOR}.world.world", "from trio._core import _run"),
    (wrong_imports, f"{SIMULATOR}.oracles.order", "import trio"),
    (wrong_imports, f"{SIMULATOR}.client.client", "from ..tools.fuzz import fuzz"),
    (wrong_imports, "tests.core.test_lanes", "from unittest import mock"),
    (drawn_randomness, f"{PACKAGE}.core.retries", "import random\nrandom.random()"),
    (drawn_randomness, f"{PACKAGE}.core.retries", "import random\nrng = random.Random()"),
    (drawn_randomness, f"{PACKAGE}.core.retries", "from random import choice"),
    (too_long, f"{PACKAGE}.x", "\n" * (MODULE_LINES_MAX + 1)),
    (too_long, f"{PACKAGE}.x", "async def f():\n" + "    pass\n" * (FUNCTION_LINES_MAX + 1)),
    (too_long, f"{PACKAGE}.x", "class C:\n    def f():\n" + "        pass\n" * (FUNCTION_LINES_MAX + 1)),
    (asserts, f"{PACKAGE}.x", "def f(x):\n    assert x"),
    (no_theory, f"{PACKAGE}.x", "import trio"),
    (eager_logging, f"{PACKAGE}.x", "logger.info(f'{x}')"),
    (eager_logging, f"{PACKAGE}.x", "self._log.warning('%s' % x)"),
    (eager_logging, f"{PACKAGE}.x", "logging.error('{}'.format(x))"),
    (eager_logging, f"{PACKAGE}.x", "LOG.log(20, 'a' + x)"),
    (foreign_privates, "tests.x", "consumer._core.lanes"),
    (more_than_facade, f"{PACKAGE}.__init__", "def f():\n    pass"),
)

FINE: Sequence[tuple[Checker, str, str]] = (
    (wrong_imports, f"{PACKAGE}.core.lanes", "from ..record import Record\nfrom .tenures import Tenure\nimport trios"),
    (wrong_imports, f"{PACKAGE}.core.lanes", "from ..client.port import Commit"),
    (wrong_imports, f"{PACKAGE}.core.__init__", "from .lanes import Lane"),
    (wrong_imports, f"{PACKAGE}.cli.demo", "import rich, confluent_kafka\nfrom .. import open_consumer"),
    (drawn_randomness, f"{PACKAGE}.core.retries", "import random\ndef f(rng: random.Random):\n    rng.random()"),
    (drawn_randomness, f"{PACKAGE}.client.confluent", "import random\nrandom.random()"),
    (too_long, f"{PACKAGE}.x", "def f():\n    '''" + "\n" * 100 + "'''\n" + "    pass\n" * FUNCTION_LINES_MAX),
    (no_theory, f"{PACKAGE}.x", ""),
    (eager_logging, f"{PACKAGE}.x", "logger.info('%s', x)\nmath.log(x + 1)"),
    (foreign_privates, "tests.x", "self._x\nos._exit(0)\nKafkaError._TRANSPORT\nx.__class__"),
    (more_than_facade, f"{PACKAGE}.__init__", "'''Doc.'''\nfrom .a import B as B\n__all__ = ['B']"),
)


@pytest.mark.parametrize(("checker", "module", "source"), VIOLATIONS)
def test_checker_catches(checker: Checker, module: str, source: str) -> None:
    assert checker(module, source)


@pytest.mark.parametrize(("checker", "module", "source"), FINE)
def test_checker_accepts(checker: Checker, module: str, source: str) -> None:
    assert checker(module, source) == []


# The tree


def modules(top: str) -> list[tuple[str, str]]:
    """Dotted name and source of every module below a top-level folder; a package is named ``….__init__``."""
    paths = sorted((ROOT / top).rglob("*.py"))
    return [
        (".".join(path.relative_to(ROOT).with_suffix("").parts), path.read_text(encoding="utf-8")) for path in paths
    ]


def violations(checker: Checker, top: str) -> str:
    return "\n".join(violation for module, source in modules(top) for violation in checker(module, source))


def test_the_tree_is_found() -> None:
    assert len(modules(PACKAGE)) > 10
    assert "tests.test_tidy" in dict(modules("tests"))


@pytest.mark.parametrize("checker", [wrong_imports, drawn_randomness, too_long, asserts, no_theory, eager_logging])
def test_package(checker: Checker) -> None:
    found = violations(checker, PACKAGE)
    assert not found, found


@pytest.mark.parametrize("checker", [wrong_imports, too_long, asserts, no_theory, eager_logging])
def test_simulator(checker: Checker) -> None:
    found = violations(checker, SIMULATOR)
    assert not found, found


@pytest.mark.parametrize("checker", [wrong_imports, too_long, no_theory, foreign_privates])
def test_tests(checker: Checker) -> None:
    found = violations(checker, "tests")
    assert not found, found


@pytest.mark.parametrize("checker", [too_long, no_theory, eager_logging])
def test_benchmarks(checker: Checker) -> None:
    found = violations(checker, "benchmarks")
    assert not found, found


def test_import_rules_name_what_exists() -> None:
    """A rule for a module that was renamed would bind nothing."""
    known = {name.removesuffix(".__init__") for name, _ in [*modules(PACKAGE), *modules(SIMULATOR), *modules("tests")]}
    ours = {name for rule in IMPORT_RULES for name in (*rule.scope, *rule.but, *(rule.ours or ()))}
    assert sorted(ours - known) == []


# What is public


def test_facade() -> None:
    assert more_than_facade(f"{PACKAGE}.__init__", inspect.getsource(trio_consumer)) == []


def test_all_is_sorted_and_complete() -> None:
    public = {
        name
        for name, value in vars(trio_consumer).items()
        if not name.startswith("_") and not inspect.ismodule(value) and name != "annotations"
    }
    assert set(trio_consumer.__all__) - {"__version__"} == public
    assert len(set(trio_consumer.__all__)) == len(trio_consumer.__all__)


def undocumented(name: str, value: object) -> list[str]:
    """The public name itself, and the public methods and properties that its class defines."""
    found = [] if value.__doc__ else [name]
    if isinstance(value, type):
        for attribute, member in vars(value).items():
            described = inspect.isfunction(member) or isinstance(member, (property, classmethod, staticmethod))
            if described and not attribute.startswith("_") and not getattr(member, "__doc__", None):
                found.append(f"{name}.{attribute}")
    return found


class Undocumented:
    def method(self) -> None: ...


def test_undocumented_catches() -> None:
    assert undocumented("Undocumented", Undocumented) == ["Undocumented", "Undocumented.method"]


def test_public_names_are_documented() -> None:
    missing = [
        line
        for name in trio_consumer.__all__
        if not isinstance(value := getattr(trio_consumer, name), str)
        for line in undocumented(name, value)
    ]
    assert missing == []


# Our own settings


def unread(names: Collection[str], sources: Collection[str]) -> set[str]:
    """Names that no source reads as an attribute."""
    read = {node.attr for source in sources for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)}
    return set(names) - read


def test_unread_catches() -> None:
    assert unread(["grace", "order"], ["config.order", "grace = 1"]) == {"grace"}


def fields() -> dict[str, attrs.Attribute[object]]:
    return {field.name: field for field in attrs.fields(ConsumerConfig)}


def test_every_setting_is_read() -> None:
    """A knob that nothing reads is a bug."""
    readers = [source for name, source in modules(PACKAGE) if name != f"{PACKAGE}.config"]
    assert unread(fields(), readers) == set()


def test_options_match_the_config() -> None:
    assert set(ConsumerOptions.__annotations__) == set(fields())


def table(text: str) -> dict[str, str]:
    """First and second column of each row of a Markdown table that starts with a name in backticks."""
    return dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", text, re.MULTILINE))


def test_documented_defaults_are_the_defaults() -> None:
    """Every default is stated, with its reason, in the reference."""
    documented = table((ROOT / "docs/reference/settings.md").read_text(encoding="utf-8"))
    defaults = {}
    for name, field in fields().items():
        default = field.default
        if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
            default = default.factory()  # type: ignore[attr-defined]
        if isinstance(default, int) and not isinstance(default, bool):
            defaults[name] = f"`{default:_}`"
        elif hasattr(default, "name") and hasattr(default, "value"):
            defaults[name] = f"`{type(default).__name__}.{default.name}`"
        else:
            defaults[name] = f"`{default!r}`"
    assert documented == defaults
