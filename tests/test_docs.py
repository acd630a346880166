"""What the documentation says is so: its programs run as printed, its tables equal the code, its names exist."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import attrs
import pytest

import trio_consumer
from simulator.bugs.hunt import SEEDS_MAX
from simulator.cli.exits import Exit as SimulatorExit
from simulator.faults.catalogue import KINDS
from simulator.tools.reproduce import option_of
from simulator.tools.shrink import TRIES_MAX
from simulator.world.scenario import Scenario
from trio_consumer.cli.exits import Exit
from trio_consumer.client import translation
from trio_consumer.client.settings import CHANGED_DEFAULTS, REFUSED, Refused
from trio_consumer.core.commits import RULES
from trio_consumer.core.offset_map import Ranges, decode, encode

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = (ROOT / "README.md", ROOT / "tests/README.md", *sorted(DOCS.rglob("*.md")))
RUN_SECONDS_MAX = 60.0


def text_of(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


# Programs


def code_blocks(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def programs() -> dict[str, str]:
    """Those that are complete: their first line is a comment with the name of the file."""
    found = {}
    for page in PAGES:
        for block in code_blocks(page.read_text(encoding="utf-8")):
            if name := re.match(r"# (\w+\.py)\n", block):
                assert name[1] not in found, f"{name[1]} is there twice"
                found[name[1]] = block
    return found


PROGRAMS = programs()
SAYS = {
    "first.py": r"1000 records in \d+\.\d s",
    "failing.py": r"orders\[\d\]@\d+: ValueError\('no such product'\)",
    "cached.py": r"orders\[[01]\] {b'customer \d': 20",
}
"""What each program that is no test prints, somewhere."""


def test_the_programs_are_found() -> None:
    scripts = {name for name in PROGRAMS if not name.startswith("test_")} - {"decode_map.py"}
    assert scripts == set(SAYS)


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name != "decode_map.py"])
def test_a_program_runs_as_printed(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(PROGRAMS[name], encoding="utf-8")
    test = ["-m", "pytest", "-q", "-o", "trio_mode=true", "-p", "no:cacheprovider", f"--rootdir={tmp_path}"]
    done = subprocess.run(
        [sys.executable, *(test if name.startswith("test_") else ()), name],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(SAYS.get(name, "1 passed"), done.stdout), done.stdout


def test_the_bad_record_is_tried_as_often_as_told(tmp_path: Path) -> None:
    (tmp_path / "failing.py").write_text(PROGRAMS["failing.py"], encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "failing.py"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS_MAX,
        check=True,
    )
    assert re.findall(r"attempt (\d)", done.stdout) == ["1", "2", "3"]


def test_every_block_is_python() -> None:
    for page in PAGES:
        for block in code_blocks(page.read_text(encoding="utf-8")):
            compile(block, str(page), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST)


# Tables


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the first table after a heading that has at least one row."""
    after = text_of(page).split(heading, 1)[1]
    table = re.search(r"^\|.*\|\n\|[-|]+\|\n((?:\|.*\|\n)+)", after, re.MULTILINE)
    assert table is not None, f"{page} has no table after {heading!r}"
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in table[1].splitlines()]


def printed(table: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in table)


def value(setting: object) -> str:
    return f"`{str(setting).lower()}`" if isinstance(setting, bool) else f"`{setting}`"


def refused_when(name: str, refused: Refused) -> str:
    if refused.with_ is not None:
        return f"with `{'='.join(refused.with_)}`"
    allowed = {"unless off": False, "unless on": True, "unless `None`": None}
    return next((when for when, setting in allowed.items() if refused.unless(setting)), "always")


def log_calls() -> Iterator[list[str]]:
    """Logger, level and text of each call, by file and line."""
    for path in sorted((ROOT / "trio_consumer").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        named = [
            node.args[0].value
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and ast.unparse(node.func) == "logging.getLogger"
            and isinstance(node.args[0], ast.Constant)
        ]
        calls = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and ast.unparse(node.func.value) == "log"
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ]
        for call in sorted(calls, key=lambda node: node.lineno):
            assert isinstance(call.func, ast.Attribute)
            assert isinstance(call.args[0], ast.Constant)
            yield [f"`{named[0]!s}`", call.func.attr.upper(), f"`{call.args[0].value!s}`"]


MAPS = ("tc1:b2:1000:587f6e55:Vg", "tc1:r6:1000:0d7dbc7c:AZ6NBg")


def expected(page: str) -> list[list[str]]:
    """What a table has to say."""
    tables: Mapping[str, list[list[str]]] = {
        "changed": [[f"`{n}`", value(c.theirs), value(c.value), c.reason] for n, c in CHANGED_DEFAULTS.items()],
        "refused": [[f"`{n}`", refused_when(n, r), r.reason] for n, r in REFUSED.items()],
        "rules": [[f"`{n}`", row.rule.value, row.source] for n, row in RULES.items()],
        "fatal": [[f"`{n}`", reason] for n, reason in translation.FATAL.items()],
        "maps": [[f"`{m}`", ", ".join(f"{start}–{stop}" for start, stop in decode(m, 1000))] for m in MAPS],
        "logs": sorted(log_calls()),
        "faults": [
            [kind.group, f"`{name}`", kind.says, f"rate {kind.rate:g}" if kind.rate else f"weight {kind.weight:g}"]
            for name, kind in KINDS.items()
        ],
    }
    return tables[page]


@pytest.mark.parametrize(
    ("what", "page", "heading"),
    [
        ("changed", "reference/librdkafka.md", "## Defaults that we change"),
        ("refused", "reference/librdkafka.md", "## Settings that we refuse"),
        ("rules", "reference/commits.md", "By Kafka's or librdkafka's name of the error."),
        ("fatal", "reference/errors.md", "## Errors of the client"),
        ("maps", "reference/offset-map.md", "## Examples"),
        ("logs", "reference/logging.md", "## Every line"),
        ("faults", "reference/faults.md", "## Every kind"),
    ],
)
def test_a_table_equals_the_code(what: str, page: str, heading: str) -> None:
    found, wanted = rows(page, heading), expected(what)
    assert found == wanted, f"{page} should say:\n{printed(wanted)}"


def test_exit_codes_are_those_of_the_command_line() -> None:
    documented = {code: name for code, name, _ in rows("reference/command-line.md", "## Exit codes") if name}
    assert documented == {str(code.value): code.name.lower() for code in Exit}


@pytest.mark.parametrize("command", ["demo", "run", "offsets"])
def test_every_option_of_a_command_is_documented(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "trio_consumer", command, "--help"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS_MAX,
        check=True,
    )
    options = set(re.findall(r"(?<![\w-])(-X|--[a-z-]+)", done.stdout))
    section = text_of("reference/command-line.md").split(f"## {command}\n", 1)[1].split("\n## ", 1)[0]
    documented = set(re.findall(r"`(-X|--[a-z-]+)`", section))
    assert options
    assert options - {"--help", "--version"} == documented


def test_exit_codes_are_those_of_the_simulator() -> None:
    documented = {code: name for code, name, _ in rows("reference/simulator-cli.md", "## Exit codes")}
    assert documented == {str(code.value): code.name.lower() for code in SimulatorExit}


def options_in(section: str) -> set[str]:
    return set(re.findall(r"`(-[OX]|--[a-z-]+)`", section))


@pytest.mark.parametrize("command", ["run", "fuzz", "shrink", "replay", "check-determinism", "bugs", "report"])
def test_every_option_of_the_simulator_is_documented(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "simulator", command, "--help"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS_MAX,
        check=True,
    )
    options = set(re.findall(r"^\W*(?:[A-Z]+ )?(-[OX]|--[a-z-]+)", done.stdout, re.MULTILINE))
    options |= set(re.findall(r"(?<= )(--no-[a-z-]+)", done.stdout))
    page = text_of("reference/simulator-cli.md")
    world = options_in(page.split("## The world\n", 1)[1].split("\n## ", 1)[0])
    documented = options_in(page.split(f"## {command}\n", 1)[1].split("\n## ", 1)[0])
    if command not in ("replay", "bugs"):
        documented |= world
    assert options
    assert options - {"--help", "--version"} == documented


def test_bounds_of_the_simulator_are_documented() -> None:
    for command, option, bound in (("shrink", "`--tries`", TRIES_MAX), ("bugs", "`--seeds`", SEEDS_MAX)):
        documented = {cells[0]: cells[1] for cells in rows("reference/simulator-cli.md", f"## {command}")}
        assert documented[option] == str(bound)


@pytest.mark.parametrize("field", [field.name for field in attrs.fields(Scenario)])
def test_defaults_of_the_simulated_world_are_documented(field: str) -> None:
    if field in ("seed", "options", "settings", "faults", "scale", "muted"):
        return
    default = getattr(Scenario(seed=0), field)
    shown = "no" if default is False else f"{default:g}" if isinstance(default, float) else str(default)
    documented = {cells[0].split("`")[1]: cells[1] for cells in rows("reference/simulator-cli.md", "## The world")}
    assert documented[option_of(field)] == shown


# The offset map's format


def documented_decoder() -> ModuleType:
    module = ModuleType("decode_map")
    exec(compile(PROGRAMS["decode_map.py"], "decode_map.py", "exec"), module.__dict__)
    return module


MAPS_OF_EACH_FORM: tuple[tuple[str, Ranges], ...] = (
    ("r", ((1001, 101_000),)),
    ("b", ((1000, 1003), (1004, 1005), (1007, 1011))),
    ("R", tuple((1001 + 2 * index, 1002 + 2 * index) for index in range(1000))),
    ("B", (*((1001 + 2 * index, 1002 + 2 * index) for index in range(50, 5_000)), (90_000, 90_001))),
)


def test_the_documented_decoder_reads_every_form() -> None:
    decoder = documented_decoder()
    forms = set()
    for _, ranges in MAPS_OF_EACH_FORM:
        text = encode(1000, ranges, 4095).text
        forms.add(text[4])
        assert decoder.decode(text, 1000) == list(ranges)
    assert forms == {form for form, _ in MAPS_OF_EACH_FORM}
    assert decoder.decode("", 1000) == []


@pytest.mark.parametrize("text", ["hello", MAPS[0].replace("Vg", "Vw"), MAPS[0].replace("1000", "1001")])
def test_the_documented_decoder_refuses(text: str) -> None:
    with pytest.raises(ValueError):
        documented_decoder().decode(text, 1000)


# Names


def test_every_public_name_is_in_the_reference() -> None:
    reference = "".join(page.read_text(encoding="utf-8") for page in (DOCS / "reference").glob("*.md"))
    directives = set(re.findall(r"auto(?:class|function|exception):: (\w+)", reference))
    errors = {name for name in trio_consumer.__all__ if name in vars(trio_consumer.errors)}  # by automodule
    assert sorted(set(trio_consumer.__all__) - directives - errors) == []


def test_files_and_tests_that_are_named_exist() -> None:
    """Paths in backticks; a test is named as ``tests/folder/test_file.py::test_name``."""
    missing = []
    for page in PAGES:
        for name in re.findall(
            r"`((?:tests|trio_consumer|benchmarks|docs)/[\w/.-]+(?:::\w+)?)`", page.read_text("utf-8")
        ):
            path, _, test = name.partition("::")
            there = (ROOT / path).exists()
            if not there or (test and f"def {test}(" not in (ROOT / path).read_text(encoding="utf-8")):
                missing.append(f"{page.relative_to(ROOT)}: {name}")
    assert missing == []


def test_links_between_files_lead_somewhere() -> None:
    broken = []
    for page in PAGES:
        targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
        broken += [f"{page.relative_to(ROOT)}: {one}" for one in targets if not (page.parent / one).exists()]
    assert broken == []
