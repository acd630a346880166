"""Sphinx: ``sphinx-build -W docs docs/_build``. Needs no network."""

from __future__ import annotations

import inspect
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # the checkout is described, whichever copy of the package is installed

project = "trio-consumer"
author = "the trio-consumer contributors"
copyright = author
version = release = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
# `Consumer` in a docstring is a link where there is something to link to.
default_role = "py:obj"
nitpicky = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"trio-consumer {release}"
html_show_copyright = False


def _show_context_managers(
    app: Any, what: str, name: str, value: Any, options: Any, signature: str, returns: str | None
) -> tuple[str, str] | None:
    """What ``@asynccontextmanager`` returns is a context manager; autodoc shows the generator that it was made from."""
    if returns and inspect.isasyncgenfunction(inspect.unwrap(value)) and not inspect.isasyncgenfunction(value):
        yielded = re.sub(r"^[\w.~]+\[(.*?)(, None)?\]$", r"\1", returns)
        return signature, f"AsyncContextManager[{yielded}]"
    return None


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-signature", _show_context_managers)
