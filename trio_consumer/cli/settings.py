"""From the command line to librdkafka's settings: ``-X name=value``, a file of such lines, and options of their own.

The later wins: the file, then ``-X``. What has an option of its own (``--bootstrap``, ``--group``) is refused in both.
Values stay text, as librdkafka takes them. They may be secrets: no message ever repeats a value, nor an argument that
could be one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from ..errors import ConfigurationError

_OPTIONS = {"bootstrap.servers": "--bootstrap", "metadata.broker.list": "--bootstrap", "group.id": "--group"}


def gather(
    bootstrap: str, group: str | None = None, *, pairs: Iterable[str] = (), file: Path | None = None
) -> dict[str, str]:
    """All settings of one client.

    Args:
        bootstrap: ``host:port``, several separated by commas.
        group: The consumer group's id.
        pairs: ``name=value`` each, from ``-X``.
        file: Lines of ``name=value``; empty lines and lines that begin with ``#`` are skipped.

    Raises:
        ConfigurationError: The file cannot be read, or an entry is no ``name=value``.
    """
    settings = {**(_read(file) if file else {}), **_parse(pairs, "-X")}
    for name, option in _OPTIONS.items():
        if name in settings:
            raise ConfigurationError(f"{name} has an option of its own: give {option}")
    if not bootstrap.strip():
        raise ConfigurationError("--bootstrap is empty: give host:port, several separated by commas")
    settings["bootstrap.servers"] = bootstrap
    if group is not None:
        if not group:
            raise ConfigurationError("--group is empty: give the consumer group's id")
        settings["group.id"] = group
    return settings


def _read(file: Path) -> Mapping[str, str]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(f"--settings {file}: {reason}") from None
    lines = (line.strip() for line in text.splitlines())
    return _parse((line for line in lines if line and not line.startswith("#")), f"--settings {file}")


def _parse(pairs: Iterable[str], source: str) -> dict[str, str]:
    settings = {}
    for number, pair in enumerate(pairs, start=1):
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise ConfigurationError(f"{source}, entry {number}: give name=value (not shown here, it may be a secret)")
        settings[name.strip()] = value.strip()
    return settings
