"""A world on file: its scenario and its history, as msgpack, to be read back by the same version.

The file opens with a name and a version. It also carries the fields of each event type, so that a change of an event
without a new version is noticed, too. Reading trusts nothing: the size is bounded before anything is decoded, every
value must have the type that the event declares, and whatever is wrong is one error that says what to do.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Union, get_args, get_origin, get_type_hints

import attrs
import msgpack  # type: ignore[import-untyped]

from trio_consumer import ConfigurationError, Partition

from ..world import history
from ..world.history import Moment, Violated
from ..world.scenario import Scenario
from .reproduce import given_of

if TYPE_CHECKING:
    from ..world.world import Outcome

FORMAT = "trio-consumer simulation"
VERSION = 1

FILE_BYTES_MAX = 256 * 1024 * 1024
MOMENTS_MAX = 5_000_000
TEXT_BYTES_MAX = 1024 * 1024

EVENTS: Mapping[str, Any] = {
    name: found
    for name, found in vars(history).items()
    if isinstance(found, type)
    and found.__module__ == history.__name__
    and hasattr(found, "_fields")
    and found is not Moment
}
"""Types of events, by name."""


class UnreadableRecording(ConfigurationError):
    """A file is no recording, or one of another version."""


@attrs.frozen
class Recording:
    """What a file holds: enough to show a world, and to run it again.

    Args:
        scenario: What it was.
        moments: The whole history.
        error: Why the world itself did not come to its end, or ``""``.
        steps: Steps of Trio tasks.
        seconds: Virtual seconds.
        bug: The planted bug that it had, or ``""``.
    """

    scenario: Scenario
    moments: tuple[Moment, ...]
    error: str = ""
    steps: int = 0
    seconds: float = 0.0
    bug: str = ""

    @property
    def violations(self) -> tuple[Violated, ...]:
        return tuple(moment.event for moment in self.moments if type(moment.event) is Violated)

    @property
    def given(self) -> dict[str, Any]:
        """What gives this world again."""
        return {**given_of(self.scenario), **({"bug": self.bug} if self.bug else {})}

    @property
    def failed(self) -> bool:
        return bool(self.violations or self.error)


def recording_of(outcome: Outcome, bug: str = "") -> Recording:
    """What of an outcome goes into a file."""
    return Recording(outcome.scenario, tuple(outcome.moments), outcome.error, outcome.steps, outcome.seconds, bug)


def write(path: Path, recording: Recording) -> None:
    """Write the file.

    Raises:
        ConfigurationError: The file cannot be written.
    """
    try:
        path.write_bytes(dumps(recording))
    except OSError as error:
        raise ConfigurationError(f"{path} can't be written ({error.strerror}): give another file") from error


def read(path: Path) -> Recording:
    """Read a file back.

    Raises:
        UnreadableRecording: It is missing, too large, no recording, damaged, or one of another version.
    """
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise UnreadableRecording(f"{path} can't be read ({error.strerror}): give a file of run --record") from error
    try:
        return loads(data)
    except UnreadableRecording as error:
        raise UnreadableRecording(f"{path} {error}") from error


def dumps(recording: Recording) -> bytes:
    """As bytes; the same recording always gives the same bytes."""
    used = sorted({type(moment.event).__name__ for moment in recording.moments})
    body = {
        "format": FORMAT,
        "version": VERSION,
        "events": {name: list(EVENTS[name]._fields) for name in used},
        "scenario": _plain(attrs.asdict(recording.scenario, recurse=False)),
        "error": recording.error,
        "steps": recording.steps,
        "seconds": recording.seconds,
        "bug": recording.bug,
        "moments": [
            [time, type(event).__name__, [_plain(value) for value in event]] for time, event in recording.moments
        ],
    }
    return bytes(msgpack.packb(body))


def loads(data: bytes) -> Recording:
    """The other way.

    Raises:
        UnreadableRecording: The bytes are too many, no recording, damaged, or of another version.
    """
    if len(data) > FILE_BYTES_MAX:
        _unreadable(f"has more than {FILE_BYTES_MAX:,} bytes, which no recording has")
    try:
        body = msgpack.unpackb(
            data,
            use_list=True,
            strict_map_key=True,
            max_str_len=TEXT_BYTES_MAX,
            max_bin_len=TEXT_BYTES_MAX,
            max_array_len=MOMENTS_MAX,
            max_map_len=10_000,
            max_ext_len=0,
        )
    except (ValueError, msgpack.UnpackException, RecursionError) as error:
        _unreadable(f"is not a recording, or is damaged ({type(error).__name__})", error)
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        _unreadable("is not a recording of a simulated world: give a file of run --record")
    if body.get("version") != VERSION:
        _unreadable(f"has version {body.get('version')!r}, and this simulator reads {VERSION}: record the seed again")
    try:
        return _recording(body)
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, UnreadableRecording):
            raise
        _unreadable(f"is damaged ({error}): record the seed again", error)


def _unreadable(said: str, cause: BaseException | None = None) -> NoReturn:
    raise UnreadableRecording(said) from cause


def _recording(body: Mapping[str, Any]) -> Recording:
    for name, fields in body["events"].items():
        if name not in EVENTS or list(EVENTS[name]._fields) != fields:
            _unreadable(f"has events of another version ({name}): record the seed again")
    moments = []
    for time, name, values in body["moments"]:
        if name not in body["events"]:
            raise ValueError(f"event {name!r} is not declared")
        moments.append(Moment(_typed(float)(time), _maker(name)(values)))
    known = {field.name for field in attrs.fields(Scenario)}
    given: dict[str, Any] = dict(body["scenario"])
    if unknown := sorted(set(given) - known):
        _unreadable(f"has a scenario of another version ({', '.join(unknown)}): record the seed again")
    for name in ("faults", "muted"):
        given[name] = frozenset(_list(given[name]))
    return Recording(
        Scenario(**given),
        tuple(moments),
        _typed(str)(body["error"]),
        _typed(int)(body["steps"]),
        _typed(float)(body["seconds"]),
        _typed(str)(body["bug"]),
    )


def _plain(value: Any) -> Any:
    """With what msgpack knows. Mappings with other keys than text become lists of pairs; sets are put in order."""
    if isinstance(value, Mapping):
        if all(isinstance(key, str) for key in value) and value:
            return {key: _plain(inner) for key, inner in value.items()}
        return [[_plain(key), _plain(inner)] for key, inner in value.items()] if value else {}
    if isinstance(value, (frozenset, set)):
        return sorted(value)
    if isinstance(value, (tuple, list)):
        return [_plain(inner) for inner in value]
    return value


@functools.cache
def _maker(name: str) -> Callable[[Any], Any]:
    """Makes an event of this type from the values of its fields."""
    kind = EVENTS[name]
    hints = get_type_hints(kind)
    readers = [_typed(hints[field]) for field in kind._fields]

    def make(values: Any) -> Any:
        return kind(*[reader(value) for reader, value in zip(readers, _list(values), strict=True)])

    return make


def _typed(hint: Any) -> Callable[[Any], Any]:
    """Reads a value of a declared type back.

    Raises:
        TypeError: It is of another type.
    """
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Partition:
        return lambda value: Partition(*_pair(value, str, int))
    if origin in (Union, types.UnionType):
        some = _typed(next(one for one in inner if one is not type(None)))
        return lambda value: None if value is None else some(value)
    if origin is tuple and inner[-1] is Ellipsis:
        each = _typed(inner[0])
        return lambda value: tuple([each(one) for one in _list(value)])
    if origin is tuple:
        parts = [_typed(one) for one in inner]
        return lambda value: tuple([part(one) for part, one in zip(parts, _list(value), strict=True)])
    if isinstance(origin, type) and issubclass(origin, Mapping):
        key, item = map(_typed, inner)
        return lambda value: {key(k): item(v) for k, v in (_list(value) if value else ())}
    return functools.partial(_exactly, hint)


def _exactly(wanted: type, value: Any) -> Any:
    if type(value) is not wanted and not (wanted is float and type(value) is int):
        raise TypeError(f"{value!r:.40} where {wanted.__name__} belongs")
    return value


def _list(value: Any) -> list[Any]:
    return _exactly(list, value)  # type: ignore[no-any-return]


def _pair(value: Any, first: type, second: type) -> tuple[Any, Any]:
    one, other = _list(value)
    return _exactly(first, one), _exactly(second, other)
