"""Options that several commands share, and the groups under which the help shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from cyclopts import Group, Parameter

WORK = Group.create_ordered("What is produced")
BROKER = Group.create_ordered("Broker")
HANDLING = Group.create_ordered("Handling")
COMMITS = Group.create_ordered("Commits and stopping")
OUTPUT = Group.create_ordered("Output")

LogLevel: TypeAlias = Literal["debug", "info", "warning", "error"]
Bootstrap: TypeAlias = Annotated[
    str, Parameter(("--bootstrap", "-b"), group=BROKER, help="Brokers as host:port, several separated by commas.")
]
GroupId: TypeAlias = Annotated[str, Parameter(("--group", "-g"), group=BROKER, help="Id of the consumer group.")]
Pairs: TypeAlias = Annotated[
    list[str] | None,
    Parameter(
        "-X",
        group=BROKER,
        negative=(),
        metavar="NAME=VALUE",
        help="A setting of librdkafka's, for instance -X security.protocol=SASL_SSL. May be repeated.",
    ),
]
File: TypeAlias = Annotated[
    Path | None,
    Parameter(
        "--settings",
        group=BROKER,
        metavar="FILE",
        help="A file of such settings, one NAME=VALUE a line: the place for passwords, which others can see in -X.",
    ),
]
Json: TypeAlias = Annotated[bool, Parameter(group=OUTPUT, negative=(), help="Print one JSON object instead.")]
