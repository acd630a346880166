"""One HTML file that shows a world: style, script and data are in it, and it asks the network for nothing.

What the history says, keys and error texts included, gets into the page as JSON alone, and from there as text: none of
it can become markup.
"""

from __future__ import annotations

import html
import json
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from trio_consumer import ConfigurationError

from ..tools.recording import Recording
from .picture import picture

SCRIPTS = ("draw.js", "page.js")


def page(recording: Recording) -> str:
    """The file's text."""
    shown = picture(recording)
    return Template(_part("page.html")).substitute(
        title=html.escape(_title(recording)),
        style=_part("page.css"),
        data=_json(shown),
        script="\n".join(map(_part, SCRIPTS)),
    )


def write_page(path: Path, recording: Recording) -> None:
    """Write the file.

    Raises:
        ConfigurationError: It cannot be written.
    """
    try:
        path.write_text(page(recording), encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path} can't be written ({error.strerror}): give another file") from error


def _title(recording: Recording) -> str:
    violations = recording.violations
    found = violations[0].oracle if violations else "did not end" if recording.error else "kept"
    return f"Seed {recording.scenario.seed}: {found}"


def _json(value: Any) -> str:
    """For a script element: nothing in it can end the element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _part(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
