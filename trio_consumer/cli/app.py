"""The commands, their options and help, and the exit codes. What they do is in the modules that they call.

Defaults of consumer options are read from `ConsumerConfig`, where they stand once.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import trio
from cyclopts import App, CycloptsError, Parameter, UnusedCliTokensError
from rich.console import Console
from rich.text import Text

from ..client.group_offsets import GroupOffsets
from ..config import ConsumerConfig, Order
from . import demo as demo_
from . import handlers, logs, progress, report, settings
from . import offsets as offsets_
from . import run as run_
from .exits import Exit, bare, failed
from .options import BROKER, COMMITS, HANDLING, OUTPUT, WORK, Bootstrap, File, GroupId, Json, LogLevel, Pairs
from .workload import Workload

DEFAULTS = ConsumerConfig()
_ORDER = DEFAULTS.order if isinstance(DEFAULTS.order, Order) else Order.KEY

_VALUE = re.compile(r"=[^\s\"']*")
_EXAMPLES = """
Try it without a broker, consume with `async def handle(record): ...` in billing.py, and look at the group:

    trio-consumer demo
    trio-consumer run billing:handle --topic orders --group billing --bootstrap localhost:9092
    trio-consumer offsets --group billing --bootstrap localhost:9092
"""

app = App(
    name="trio-consumer",
    help="Consume Kafka topics in parallel, in key order, and commit only what is done.",
    help_epilogue=_EXAMPLES,
    help_format="markdown",
    version=lambda: _version(),
    error_formatter=lambda error: _error_line(error),
    suppress_keyboard_interrupt=False,
)
app.register_install_completion_command()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        arguments: Instead of those of the process.
    """
    try:
        result = app(arguments, exit_on_error=False, result_action="return_value")
        return result if isinstance(result, int) else Exit.DONE
    except CycloptsError:
        return Exit.USAGE  # said already
    except (Exception, KeyboardInterrupt, BaseExceptionGroup) as error:
        return failed(bare(error))


@app.command(
    help_epilogue="Exit codes: 0 the promise was kept, 1 it was broken, 2 usage, 3 an error of the client.",
)
def demo(
    *,
    records: Annotated[int, Parameter(group=WORK, help="How many records are produced.")] = 100_000,
    keys: Annotated[int, Parameter(group=WORK, help="How many keys they have.")] = 1_000,
    partitions: Annotated[int, Parameter(group=WORK, help="How many partitions the topic has.")] = 12,
    seed: Annotated[int, Parameter(group=WORK, help="Decides keys, values and latencies.")] = 1,
    order: Annotated[Order, Parameter(group=HANDLING, help="Which records wait for each other.")] = Order.KEY,
    concurrency: Annotated[int, Parameter(group=HANDLING, help="Handlers in flight, at most, in each member.")] = 64,
    latency_ms: Annotated[float, Parameter(group=HANDLING, help="Mean milliseconds that a handler takes.")] = 5.0,
    protocol: Annotated[
        Literal["consumer", "classic"],
        Parameter(group=HANDLING, help="Group protocol: consumer (KIP-848) or classic (cooperative-sticky)."),
    ] = "consumer",
    json: Json = False,
    quiet: Annotated[bool, Parameter(("--quiet", "-q"), group=OUTPUT, negative=(), help="No progress.")] = False,
) -> int:
    """Produce, consume and verify on brokers inside this process; nothing to install.

    Keyed records are handled concurrently by two members of a group, each record with a random latency; the second
    member joins in the middle and leaves again. Meanwhile the committed offsets are read from the brokers, and each is
    compared with what was handled by then. In the end the history of all handlers is judged against what was produced.

    handled counts distinct records; repeated counts those that were handled again, which at least once allows.
    """
    options = demo_.Options(
        workload=Workload(records=records, keys=keys, partitions=partitions, seed=seed),
        order=order,
        concurrency=concurrency,
        latency=latency_ms / 1000,
        protocol=protocol,
    )
    done = trio.run(demo_.Demo(options).run, progress.choose(Console(stderr=True), quiet=quiet))
    return report.conclude(options, done, json=json)


@app.command(
    help_epilogue=(
        "SIGINT or SIGTERM drains: running handlers finish and are committed. A second one cancels them; a third "
        "ends the process.\n\n"
        "Exit codes: 0 drained, 1 a handler failed, 2 usage, 3 an error of the broker or client, 130 or 143 aborted by "
        "SIGINT or SIGTERM, 70 a bug."
    ),
)
def run(
    handler: Annotated[str, Parameter(help="An async function of one record, as module:function.")],
    /,
    *,
    topic: Annotated[
        list[str],
        Parameter(
            ("--topic", "-t"),
            group=BROKER,
            negative=(),
            metavar="TOPIC",
            help="A topic, or a regular expression that starts with ^. May be repeated.",
        ),
    ],
    group: GroupId,
    bootstrap: Bootstrap,
    x: Pairs = None,
    settings_file: File = None,
    order: Annotated[Order, Parameter(group=HANDLING, help="Which records wait for each other.")] = _ORDER,
    null_key: Annotated[
        Literal["unordered", "partition"],
        Parameter(group=HANDLING, help="How records without a key are ordered: not, or with each other."),
    ] = DEFAULTS.null_key,
    concurrency: Annotated[int, Parameter(group=HANDLING, help="Handlers in flight, at most.")] = DEFAULTS.concurrency,
    attempts: Annotated[
        int | Literal["unlimited"], Parameter(group=HANDLING, help="How often a record is tried.")
    ] = DEFAULTS.attempts or "unlimited",
    backoff: Annotated[
        float | None,
        Parameter(
            group=HANDLING,
            metavar="SECONDS",
            help=f"A fixed pause before a record is tried again. Without it the pause grows from "
            f"{DEFAULTS.backoff.first:g} s to {DEFAULTS.backoff.limit:g} s.",
        ),
    ] = None,
    exhausted: Annotated[
        Literal["halt", "skip"],
        Parameter(group=HANDLING, help="When all attempts failed: end with exit code 1, or go on without the record."),
    ] = DEFAULTS.exhausted,
    commit_interval: Annotated[
        float, Parameter(group=COMMITS, metavar="SECONDS", help="Time between commits, at most.")
    ] = DEFAULTS.commit_interval,
    commit_count: Annotated[
        int, Parameter(group=COMMITS, help="Records that make a commit due before that.")
    ] = DEFAULTS.commit_count,
    grace: Annotated[
        float,
        Parameter(group=COMMITS, metavar="SECONDS", help="What running handlers get before a revoke cancels them."),
    ] = DEFAULTS.grace,
    revoke_deadline: Annotated[
        float, Parameter(group=COMMITS, metavar="SECONDS", help="What a revoke may take, handlers and commit included.")
    ] = DEFAULTS.revoke_deadline,
    stop_deadline: Annotated[
        float, Parameter(group=COMMITS, metavar="SECONDS", help="What the last commit may take.")
    ] = DEFAULTS.stop_deadline,
    log_level: Annotated[LogLevel, Parameter(group=OUTPUT, help="Logs go to the standard error.")] = "info",
) -> int:
    """Consume topics with a handler of yours, until a signal or a failure ends it.

    The handler is imported from the current directory or the installed packages. A group that has committed nothing yet
    begins at the log's start; -X auto.offset.reset=latest begins at its end.
    """
    logs.to_stderr(log_level)
    options: dict[str, Any] = {
        "order": order,
        "null_key": null_key,
        "concurrency": concurrency,
        "attempts": None if attempts == "unlimited" else attempts,
        "exhausted": exhausted,
        "commit_interval": commit_interval,
        "commit_count": commit_count,
        "grace": grace,
        "revoke_deadline": revoke_deadline,
        "stop_deadline": stop_deadline,
    }
    if backoff is not None:
        options["backoff"] = backoff
    gathered = settings.gather(bootstrap, group, pairs=x or (), file=settings_file)
    return trio.run(run_.consume, handlers.load(handler), gathered, topic, options)


@app.command(help_epilogue="Exit codes: 0 shown, 2 usage, 3 an error of the broker or client.")
def offsets(
    *,
    group: GroupId,
    bootstrap: Bootstrap,
    topic: Annotated[
        list[str] | None,
        Parameter(
            ("--topic", "-t"),
            group=BROKER,
            negative=(),
            metavar="TOPIC",
            help="Only this topic, with all its partitions. May be repeated. Without it, all that is committed.",
        ),
    ] = None,
    x: Pairs = None,
    settings_file: File = None,
    timeout: Annotated[
        float, Parameter(group=BROKER, metavar="SECONDS", help="How long the brokers may take for an answer.")
    ] = 10.0,
    json: Json = False,
) -> int:
    """Show what a group has committed: offsets, lag, and which records above them are complete already.

    Reads only; the group does not notice. The picture of a partition that has an offset map reaches from the committed
    offset to the highest completed one; that of another shows its whole log.
    """
    reader = GroupOffsets(settings.gather(bootstrap, pairs=x or (), file=settings_file), group, timeout=timeout)
    rows = offsets_.decode_all(reader.read(topic or ()))
    if json:
        print(offsets_.as_json(group, rows))
    else:
        console = Console()
        console.print(offsets_.as_table(group, rows, console.width))
    return Exit.DONE


def _version() -> str:
    try:
        return importlib.metadata.version("trio-consumer")
    except importlib.metadata.PackageNotFoundError:
        return "unknown: not installed"


def _error_line(error: CycloptsError) -> Text:
    # What cannot be placed may be a secret that lost its -X.
    said = "arguments that no option takes" if isinstance(error, UnusedCliTokensError) else str(error)
    text = Text(f"trio-consumer: {_VALUE.sub('=...', said)}\n", no_wrap=True, overflow="ignore")
    return text.append("See trio-consumer --help.", "dim")
