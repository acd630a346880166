"""What users import, and what it costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import simulator

ROOT = Path(__file__).parents[2]


def test_every_name_is_there() -> None:
    for name in simulator.__all__:
        assert getattr(simulator, name) is not None
    assert (
        sorted(simulator.__all__, key=lambda name: (name.upper() != name, name[0].islower(), name)) == simulator.__all__
    )
    assert set(dir(simulator)) == set(simulator.__all__)


def test_no_other_is() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        simulator.nonsense  # noqa: B018


@pytest.mark.parametrize("name", ["simulator", "simulator.pytest_plugin"])
def test_importing_it_imports_no_consumer(name: str) -> None:
    code = f"import sys, {name}; sys.exit(bool({{'trio', 'trio_consumer', 'hypothesis'}} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_the_core_needs_no_hypothesis_nor_pytest() -> None:
    code = (
        "import sys, simulator; [getattr(simulator, name) for name in simulator.__all__];"
        "sys.exit(bool({'hypothesis', 'pytest'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
