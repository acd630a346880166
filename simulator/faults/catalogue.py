"""Every kind of fault, by name: what happens, and how often.

Two ways to happen. A *timed* fault is an act of the nemesis at some instant: its weight says how often it is chosen
among the enabled ones. A *point* fault is asked for where it can happen, each time: its rate is a probability.

A seed enables some of them (the swarm), and scales each rate. Only what fired is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs

from trio_consumer import ConfigurationError


@attrs.frozen
class Kind:
    """One kind of fault.

    Args:
        group: What it befalls.
        says: What happens, for the reference.
        rate: Probability each time it could happen, for a point fault; else 0.
        weight: How often the nemesis chooses it, relative to others, for a timed one; else 0.
    """

    group: str
    says: str
    rate: float = 0.0
    weight: float = 0.0


KINDS: Mapping[str, Kind] = {
    # Processes
    "crash": Kind("process", "a process dies at any await, as by SIGKILL, and another one starts", weight=3),
    "crash-in-commit": Kind("process", "it dies while a commit of its is on its way", rate=0.03),
    "crash-in-revoke": Kind("process", "it dies between a revoke and its release", rate=0.05),
    "crash-slow-restart": Kind("process", "it dies and stays away for longer than a session", weight=1),
    "leave": Kind("process", "a member drains, leaves the group and comes back as a new process", weight=1.5),
    "cancel": Kind("process", "a consumer's run is cancelled from outside; the process starts again", weight=1.5),
    "join": Kind("process", "one more member joins for a while", weight=1.5),
    "rebalance-storm": Kind("process", "members join and leave in quick succession", weight=1),
    "stall": Kind("process", "a whole process is stopped for less than its session", weight=1.5),
    "stall-past-session": Kind("process", "a whole process is stopped for longer than its session", weight=1),
    "loop-blocked": Kind("process", "the event loop is blocked, while the client's own threads go on", weight=1.5),
    "loop-blocked-past-poll-interval": Kind(
        "process", "the event loop is blocked for longer than max.poll.interval.ms", weight=1
    ),
    "instance-id-twice": Kind("process", "a second process starts with the same group.instance.id", weight=0.7),
    # Network
    "cut": Kind("network", "a process can't reach any broker, nor they it", weight=1.5),
    "cut-past-session": Kind("network", "the same for longer than a session", weight=1),
    "cut-requests": Kind("network", "what a process sends does not arrive; answers to it do", weight=1),
    "cut-responses": Kind("network", "requests arrive, answers do not", weight=1),
    "cut-coordinator": Kind("network", "a process can't reach its group's coordinator; other brokers it can", weight=1),
    "cut-leader": Kind("network", "a process can't reach one broker that leads partitions", weight=1),
    "slow-network": Kind("network", "a process' round trips take much longer for a while", weight=1),
    "connection-reset": Kind("network", "a connection breaks with requests on it", rate=0.004),
    "slow-response": Kind("network", "one answer takes long", rate=0.01),
    "response-lost": Kind("network", "a request is carried out and its answer lost with the connection", rate=0.004),
    # Commits
    "commit-response-lost": Kind("commit", "a commit is applied and its answer lost", rate=0.05),
    "commit-delayed": Kind("commit", "a commit waits on its way, past the next generation if one comes", rate=0.04),
    "commit-resent": Kind(
        "commit", "a commit whose answer was lost is sent again, and lands after newer ones", rate=0.03
    ),
    "commit-fails-in-part": Kind("commit", "one partition is refused and the others are applied", rate=0.04),
    "commit-not-coordinator": Kind("commit", "the coordinator has just moved", rate=0.03),
    "commit-loading": Kind("commit", "the coordinator is loading its offsets", rate=0.02),
    "commit-timed-out": Kind("commit", "the broker could not replicate in time; nothing was applied", rate=0.03),
    "metadata-limit": Kind("commit", "the broker takes much less metadata for each partition", weight=0.7),
    "offset-fetch-fails": Kind("commit", "committed offsets can't be read at first", rate=0.08),
    "foreign-metadata": Kind("commit", "the offset was committed with another tool's metadata", rate=0.03),
    # Fetches
    "fetch-slow": Kind("fetch", "an answer to a fetch takes long", rate=0.03),
    "fetch-partial": Kind("fetch", "a fetch brings fewer records than there are", rate=0.2),
    "fetch-error": Kind("fetch", "a broker refuses a fetch: not the leader, or leader not available", rate=0.03),
    "fetch-throttled": Kind("fetch", "a broker throttles the client by quota", rate=0.02),
    "topic-authorization": Kind("fetch", "reading the topic is forbidden for a while", weight=0.3),
    # Logs
    "leader-moves": Kind("log", "a partition gets another leader and leader epoch", weight=1.5),
    "unclean-truncation": Kind(
        "log", "a leader is elected uncleanly: the log's tail is gone, its offsets are used again", weight=0.4
    ),
    "retention": Kind("log", "the oldest records of a partition expire", weight=0.5),
    "delete-records": Kind("log", "an administrator deletes records up to some offset", weight=0.4),
    "compaction": Kind("log", "a partition is compacted: holes", weight=1),
    "partitions-added": Kind("log", "the topic gets one more partition", weight=0.5),
    "topic-recreated": Kind("log", "the topic is deleted and created again at once", weight=0.2),
    "topic-deleted": Kind("log", "the topic is deleted, and created again after a while", weight=0.2),
    "duplicate-append": Kind("log", "a producer without idempotence appends a record twice", rate=0.03),
    # Coordinator
    "coordinator-moves": Kind("coordinator", "the group moves to another broker, which first loads it", weight=1.5),
    "coordinator-loading": Kind("coordinator", "the coordinator answers that it is loading, for a while", weight=1),
    "coordinator-down": Kind("coordinator", "no broker coordinates the group for a while", weight=1),
    "member-expelled": Kind("coordinator", "an administrator removes a member from the group", weight=0.7),
    "offsets-expire": Kind("coordinator", "a partition's committed offset expires, while the group is empty", weight=2),
    "offsets-reset": Kind(
        "coordinator", "an administrator sets the offsets of the group back while it is empty", weight=2
    ),
    # Handlers
    "handler-fails": Kind("handler", "a handler raises", rate=0.05),
    "handler-fails-always": Kind("handler", "a handler raises at each attempt of the record", rate=0.004),
    "handler-raises-group": Kind("handler", "a handler raises an exception group", rate=0.01),
    "handler-slow": Kind("handler", "a handler takes much longer", rate=0.03),
    "handler-hangs": Kind("handler", "a handler waits until it is cancelled, or until the world heals", rate=0.003),
    "handler-ignores-cancellation": Kind("handler", "a handler goes on for a while after it was cancelled", rate=0.01),
    "handler-cancelled-on-way-out": Kind(
        "handler", "a handler has done its work, and is cancelled as it returns", rate=0.02
    ),
    "handler-fails-while-cancelled": Kind("handler", "a handler raises something else when it is cancelled", rate=0.03),
    "dead-letter-down": Kind("handler", "the dead-letter topic takes nothing", rate=0.3),
    "dead-letter-response-lost": Kind(
        "handler", "the dead-letter topic took the record, but its answer was lost", rate=0.1
    ),
    "hook-slow": Kind("handler", "a tenure hook takes long", rate=0.1),
}


SHORTHANDS: Mapping[str, tuple[str, ...]] = {
    "rebalance": ("join", "leave", "rebalance-storm"),
}
"""Names for several kinds that usually go together."""


def chosen(names: Iterable[str]) -> frozenset[str]:
    """Names of kinds, of groups of kinds, shorthands, or ``all``, as kinds.

    Raises:
        ConfigurationError: There is no such kind or group.
    """
    kinds: set[str] = set()
    groups = {kind.group for kind in KINDS.values()}
    for name in names:
        if name == "all":
            kinds.update(KINDS)
        elif name in KINDS:
            kinds.add(name)
        elif name in SHORTHANDS:
            kinds.update(SHORTHANDS[name])
        elif name in groups:
            kinds.update(kind for kind, row in KINDS.items() if row.group == name)
        else:
            raise ConfigurationError(
                f"fault {name!r} is unknown: give all, a group ({', '.join(sorted((*groups, *SHORTHANDS)))}) or one of "
                f"{', '.join(sorted(KINDS))}"
            )
    return frozenset(kinds)
