"""The nemesis: chooses timed faults among the enabled kinds, one after the other, and carries them out.

Each act is one method; `ACTS` says which kind calls which. What an act begins for a while, a timer ends; `heal` ends
all of it at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from trio_consumer import Partition
from trio_consumer.client.port import Commit

from ..faults.catalogue import KINDS
from .history import ProcessFrozen, ProcessThawed
from .members import Life
from .scenario import GROUP, TOPIC

if TYPE_CHECKING:
    from .world import World

SESSION_SECONDS = 3.0
POLL_SECONDS = 6.0
METADATA_MAX = 4096
EMPTY = "Empty"
"""The state of a group without members, in every protocol."""
PAUSES = (0.02, 1.2)
"""Between two acts, in virtual seconds."""


class Nemesis:
    """See the module."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._dice = world.dice.split("nemesis")
        self._kinds = [kind for kind in sorted(world.scenario.faults) if KINDS[kind].weight]
        self._weights = [KINDS[kind].weight for kind in self._kinds]
        self._extra = 0
        self._healed = False

    def start(self) -> None:
        if self._kinds:
            self._again()

    def heal(self) -> None:
        """End everything that was begun for a while, and begin nothing more."""
        self._healed = True
        world = self._world
        for life in list(world.members.lives.values()):
            self._thaw(life)
        world.network.mend()
        world.cluster.coordinator.settings.metadata_max = METADATA_MAX
        if not world.cluster.partitions(TOPIC):
            world.cluster.create_topic(TOPIC, world.scenario.partitions)
        world.cluster.allow(TOPIC)
        for number in range(1, self._extra + 1):
            world.members.leave(f"x{number}", for_good=True)
        if world.scenario.static and world.scenario.protocol != "consumer":
            world.clock.after(2 * SESSION_SECONDS, self._shake)

    def _shake(self) -> None:
        """One more rebalance, by a guest.

        A static member that restarts gets its assignment of before, without a rebalance. So a partition that it was to
        give back stays unowned until the next one, and so do partitions that were added meanwhile. Kafka's own doing.
        """
        self._extra += 1
        name = f"x{self._extra}"
        self._world.members.start(name)
        self._world.clock.after(1.0, self._send_away, name)

    def _again(self) -> None:
        self._world.clock.after(self._dice.uniform(*PAUSES), self._act)

    def _act(self) -> None:
        if self._healed:
            return
        kind = self._choose()
        ACTS[kind](self, kind)
        self._again()

    def _choose(self) -> str:
        at = self._dice.uniform(0, sum(self._weights))
        for kind, weight in zip(self._kinds, self._weights, strict=True):
            at -= weight
            if at <= 0:
                return kind
        return self._kinds[-1]

    def _for_a_while(self, seconds: float, end: Callable[..., object], *arguments: object) -> None:
        """What `heal` must not wait for: it ends by itself, or is ended by it."""
        self._world.clock.after(seconds, self._unless_healed, end, *arguments)

    def _unless_healed(self, end: Callable[..., object], *arguments: object) -> None:
        if not self._healed:
            end(*arguments)

    # Whom it befalls

    def _life(self) -> Life | None:
        """A process that lives and has its consumer open."""
        lives = [life for life in self._world.members.lives.values() if life.process.alive and life.consumer]
        return self._dice.choice(lives) if lives else None

    def _partition(self) -> Partition | None:
        count = self._world.cluster.partitions(TOPIC)
        return Partition(TOPIC, self._dice.below(count)) if count else None

    def _note(self, kind: str, target: object) -> bool:
        return self._world.faults.note(kind, str(target))

    # Processes

    def _crash(self, kind: str) -> None:
        life = self._life()
        if life and self._note(kind, life.process.name):
            slow = kind == "crash-slow-restart"
            away = self._dice.uniform(1.1, 1.8) * SESSION_SECONDS if slow else None
            self._world.members.kill(life.process.member, away=away)

    def _leave(self, kind: str) -> None:
        life = self._life()
        if life and self._note(kind, life.process.name):
            self._world.members.leave(life.process.member)

    def _cancel(self, kind: str) -> None:
        life = self._life()
        if life and self._note(kind, life.process.name):
            self._world.members.cancel(life.process.member)

    def _join(self, kind: str) -> None:
        self._extra += 1
        name = f"x{self._extra}"
        if self._note(kind, name):
            self._world.members.start(name)
            self._for_a_while(self._dice.uniform(0.3, 4.0), self._send_away, name)

    def _send_away(self, name: str) -> None:
        self._world.members.leave(name, for_good=True)

    def _storm(self, kind: str) -> None:
        count = self._dice.between(2, 4)
        if not self._note(kind, count):
            return
        for _ in range(count):
            self._extra += 1
            name = f"x{self._extra}"
            begin = self._dice.uniform(0, 1.0)
            self._for_a_while(begin, self._world.members.start, name)
            self._for_a_while(begin + self._dice.uniform(0.1, 1.5), self._send_away, name)

    def _freeze(self, kind: str) -> None:
        life = self._life()
        if life is None or life.process.tasks_frozen or not self._note(kind, life.process.name):
            return
        whole = kind.startswith("stall")
        low, high = {
            "stall": (0.05, 0.9 * SESSION_SECONDS),
            "stall-past-session": (1.1 * SESSION_SECONDS, 2 * SESSION_SECONDS),
            "loop-blocked": (0.05, 0.7 * POLL_SECONDS),
            "loop-blocked-past-poll-interval": (1.1 * POLL_SECONDS, 1.6 * POLL_SECONDS),
        }[kind]
        life.process.freeze(whole=whole)
        self._world.history.add(ProcessFrozen(life.process.name, whole))
        self._for_a_while(self._dice.uniform(low, high), self._thaw, life)

    def _thaw(self, life: Life) -> None:
        if life.process.tasks_frozen and life.process.alive:
            self._world.history.add(ProcessThawed(life.process.name))
            life.process.thaw()

    def _twin(self, kind: str) -> None:
        """Needs static members."""
        life = self._life()
        if life is None or not self._world.scenario.static or life.process.member.startswith("x"):
            return
        self._extra += 1
        name = f"x{self._extra}"
        if self._note(kind, life.process.name):
            self._world.members.start(name, instance_id=life.process.member)
            self._for_a_while(self._dice.uniform(0.3, 3.0), self._send_away, name)

    # Network

    def _cut(self, kind: str) -> None:
        life = self._life()
        if life is None or not self._note(kind, life.process.name):
            return
        world, name = self._world, life.process.name
        nodes = None
        if kind == "cut-coordinator":
            node = world.cluster.coordinator.node_of(GROUP)
            nodes = None if node is None else [node]
        elif kind == "cut-leader":
            nodes = [self._dice.choice(world.cluster.nodes)]
        world.network.cut(name, nodes, requests=kind != "cut-responses", responses=kind != "cut-requests")
        past = kind == "cut-past-session"
        seconds = self._dice.uniform(1.1, 2.0) if past else self._dice.uniform(0.01, 0.9)
        self._for_a_while(seconds * SESSION_SECONDS, world.network.mend, name)

    def _slow(self, kind: str) -> None:
        life = self._life()
        if life and self._note(kind, life.process.name):
            self._world.network.slow(life.process.name, self._dice.uniform(5, 100))
            self._for_a_while(self._dice.uniform(0.1, 3), self._world.network.mend, life.process.name)

    # Logs

    def _move_leader(self, kind: str) -> None:
        partition = self._partition()
        if partition and self._note(kind, partition):
            self._world.cluster.move_leader(partition)

    def _truncate(self, kind: str) -> None:
        """The new end is behind something that is there: the active segment is never compacted."""
        partition = self._partition()
        if partition is None:
            return
        entries = self._world.cluster.log(partition).entries
        if len(entries) > 1 and self._note(kind, partition):
            left = self._dice.between(max(1, len(entries) - 5), len(entries) - 1)
            self._world.cluster.truncate(partition, entries[left - 1].offset + 1)

    def _trim(self, kind: str) -> None:
        partition = self._partition()
        if partition is None:
            return
        log = self._world.cluster.log(partition)
        if log.start < log.high_watermark and self._note(kind, partition):
            self._world.cluster.retain(partition, self._dice.between(log.start + 1, log.high_watermark))

    def _compact(self, kind: str) -> None:
        partition = self._partition()
        if partition and self._note(kind, partition):
            self._world.cluster.compact(partition)

    def _grow(self, kind: str) -> None:
        count = self._world.cluster.partitions(TOPIC)
        if 0 < count < self._world.scenario.partitions + 3 and self._note(kind, count + 1):
            self._world.cluster.add_partitions(TOPIC, count + 1)

    def _recreate(self, kind: str) -> None:
        if self._world.cluster.partitions(TOPIC) and self._note(kind, TOPIC):
            self._world.cluster.recreate_topic(TOPIC)

    def _delete(self, kind: str) -> None:
        if self._world.cluster.partitions(TOPIC) and self._note(kind, TOPIC):
            self._world.cluster.delete_topic(TOPIC)
            self._for_a_while(self._dice.uniform(0.1, 3), self._create)

    def _create(self) -> None:
        if not self._world.cluster.partitions(TOPIC):
            self._world.cluster.create_topic(TOPIC, self._world.scenario.partitions)

    def _deny(self, kind: str) -> None:
        if self._note(kind, TOPIC):
            self._world.cluster.deny(TOPIC)
            self._for_a_while(self._dice.uniform(0.1, 2), self._world.cluster.allow, TOPIC)

    # Coordinator

    def _coordinator(self, kind: str) -> None:
        coordinator = self._world.cluster.coordinator
        if not self._note(kind, GROUP):
            return
        seconds = self._dice.uniform(0.05, 2.0)
        if kind == "coordinator-moves":
            coordinator.move(GROUP, self._dice.choice(self._world.cluster.nodes), seconds)
        elif kind == "coordinator-loading":
            coordinator.load(GROUP, seconds)
        else:
            coordinator.down(GROUP, seconds)

    def _expel(self, kind: str) -> None:
        coordinator = self._world.cluster.coordinator
        members = list(coordinator.members(GROUP))
        if members:
            member = self._dice.choice(members)
            if self._note(kind, member):
                coordinator.expel(GROUP, member)

    def _limit_metadata(self, kind: str) -> None:
        coordinator = self._world.cluster.coordinator
        limit = self._dice.choice((0, 10, 30, 100))
        if self._note(kind, limit):
            coordinator.settings.metadata_max = limit
            self._for_a_while(self._dice.uniform(0.2, 3), setattr, coordinator.settings, "metadata_max", METADATA_MAX)

    def _expire(self, kind: str) -> None:
        """Only while nobody is there, as brokers do since KIP-211."""
        partition = self._partition()
        coordinator = self._world.cluster.coordinator
        if partition and coordinator.state(GROUP) == EMPTY and self._note(kind, partition):
            coordinator.expire_offsets(GROUP, partition)

    def _reset_offsets(self, kind: str) -> None:
        partition = self._partition()
        coordinator = self._world.cluster.coordinator
        if partition is None or coordinator.state(GROUP) != EMPTY:
            return
        committed = coordinator.committed(GROUP, partition).offset
        if committed and self._note(kind, partition):
            coordinator.set_offset(GROUP, partition, Commit(self._dice.below(committed)))


ACTS: Mapping[str, Callable[[Nemesis, str], None]] = {
    "crash": Nemesis._crash,
    "crash-slow-restart": Nemesis._crash,
    "leave": Nemesis._leave,
    "cancel": Nemesis._cancel,
    "join": Nemesis._join,
    "rebalance-storm": Nemesis._storm,
    "stall": Nemesis._freeze,
    "stall-past-session": Nemesis._freeze,
    "loop-blocked": Nemesis._freeze,
    "loop-blocked-past-poll-interval": Nemesis._freeze,
    "instance-id-twice": Nemesis._twin,
    "cut": Nemesis._cut,
    "cut-past-session": Nemesis._cut,
    "cut-requests": Nemesis._cut,
    "cut-responses": Nemesis._cut,
    "cut-coordinator": Nemesis._cut,
    "cut-leader": Nemesis._cut,
    "slow-network": Nemesis._slow,
    "metadata-limit": Nemesis._limit_metadata,
    "topic-authorization": Nemesis._deny,
    "leader-moves": Nemesis._move_leader,
    "unclean-truncation": Nemesis._truncate,
    "retention": Nemesis._trim,
    "delete-records": Nemesis._trim,
    "compaction": Nemesis._compact,
    "partitions-added": Nemesis._grow,
    "topic-recreated": Nemesis._recreate,
    "topic-deleted": Nemesis._delete,
    "coordinator-moves": Nemesis._coordinator,
    "coordinator-loading": Nemesis._coordinator,
    "coordinator-down": Nemesis._coordinator,
    "member-expelled": Nemesis._expel,
    "offsets-expire": Nemesis._expire,
    "offsets-reset": Nemesis._reset_offsets,
}
"""Which act carries out which timed kind. Each timed kind of the catalogue has one (a test says so)."""
