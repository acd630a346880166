"""Members that do whatever they are told, in any order: each step is three small numbers.

The same steps give the same history, so that Hypothesis can shrink them and a sweep over seeds can count coverage.
After each step the promises of a coordinator are checked from outside, by what members and administrators can see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from simulator.kafka.coordinator import TABLES, MemberView
from simulator.kafka.requests import SyncedGroup
from simulator.world.history import CommitApplied, Transition
from trio_consumer.client.port import Commit

from .coordinator_kit import GROUP, TOPIC, Classic, Consumer848, Kit, orders

Step = tuple[int, int, int]
NAMES = ("a", "b", "c", "d")
SECONDS = (0.1, 1.0, 3.0, 7.0, 11.0, 50.0, 310.0)
ROWS = {name: {row[:3] for row in rows} for name, rows in TABLES.items()}


class Crowd:
    """Some members of one group, an administrator, and a clock. Even names are dynamic, odd ones static."""

    def __init__(self, version: str = "4.3") -> None:
        self.kit = Kit(version=version)
        self.kit.topics["other"] = 1
        self.lives = dict.fromkeys(NAMES, 0)
        self.generation = 0
        self.seen = 0
        self.steps: list[Callable[[str, int], object]] = [
            *(self.advance, self.advance, self.move, self.load, self.down, self.expel, self.administer, self.outsider),
            self.grow,
        ]

    def play(self, steps: Iterable[Step]) -> None:
        for what, who, how in steps:
            self.steps[what % len(self.steps)](NAMES[who % len(NAMES)], how)
            self.check()

    def instance(self, name: str) -> str | None:
        return f"instance-{name}" if NAMES.index(name) % 2 else None

    def life(self, name: str) -> str:
        self.lives[name] += 1
        return f"{name}.{self.lives[name]}"

    # What the world does

    def advance(self, name: str, how: int) -> None:
        self.kit.clock.advance(SECONDS[how % len(SECONDS)])

    def move(self, name: str, how: int) -> None:
        self.kit.coordinator.move(GROUP, 1 + how % 3, how % 4)

    def load(self, name: str, how: int) -> None:
        self.kit.coordinator.load(GROUP, how % 4)

    def down(self, name: str, how: int) -> None:
        self.kit.coordinator.down(GROUP, how % 4)

    def expel(self, name: str, how: int) -> None:
        members = [*self.kit.coordinator.members(GROUP)]
        if members:
            self.kit.coordinator.expel(GROUP, members[how % len(members)])

    def administer(self, name: str, how: int) -> None:
        coordinator, (partition,) = self.kit.coordinator, orders(how % 4)
        if how % 4 == 0:
            error, members = coordinator.delete_group(GROUP), coordinator.members(GROUP)
            assert not members or error in ("NON_EMPTY_GROUP", "COORDINATOR_LOAD_IN_PROGRESS", "NOT_COORDINATOR")
        elif how % 4 == 1:
            coordinator.expire_offsets(GROUP, partition)
        else:
            error = coordinator.set_offset(GROUP, partition, Commit(how))
            assert error or not coordinator.members(GROUP)

    def outsider(self, name: str, how: int) -> None:
        members = [*self.kit.coordinator.members(GROUP), "nobody"]
        self.kit.commit(
            how,
            generation=(-1, self.generation, 0)[how % 3],
            member_id=members[how % len(members)] if how % 2 else "",
            instance_id=(None, None, "instance-b", "strange")[how % 4],
        )

    def grow(self, name: str, how: int) -> None:
        if how % 3 == 0:
            self.kit.topics.pop("other", None)
        elif how % 3 == 1:
            self.kit.topics["other"] = 1
        else:
            self.kit.topics[TOPIC] = min(self.kit.topics[TOPIC] + 1, 6)
        self.kit.coordinator.topics_changed()

    # What must be so

    def check(self) -> None:
        views = self.kit.coordinator.members(GROUP)
        held = [partition for view in views.values() for partition in view.owned]
        assert len(held) == len(set(held)), f"a partition is with two members: {views}"
        moments = self.kit.history.moments
        for moment in moments[self.seen :]:
            event = moment.event
            if isinstance(event, Transition):
                assert (event.state, event.event, event.after) in ROWS[event.table]
                if event.event.startswith("loaded") or event.after == "Dead":
                    self.generation = 0
        self.seen = len(moments)
        self.watch(views)

    def watch(self, views: dict[str, MemberView] | object) -> None:
        """More to check, by protocol."""

    def commit_as(
        self, member: Classic | Consumer848, number: int, epoch: int, allowed: bool, instance_id: str | None = None
    ) -> None:
        """Commit, and see that it is applied only if it may be."""
        before = len(self.kit.events(CommitApplied))
        error = self.kit.commit(
            number,
            orders(number % 4)[0],
            generation=epoch,
            member_id=member.id,
            instance_id=instance_id,
            process=member.process,
        )
        applied = len(self.kit.events(CommitApplied)) - before
        assert applied == (error == "")
        assert allowed or error, f"{member.id} committed with {epoch}"


class ClassicCrowd(Crowd):
    """Args:
    patient: Sessions are longer than rebalances, and not the other way round.
    """

    def __init__(self, protocol: str = "range", initial_delay: float = 0.0, *, patient: bool = False) -> None:
        super().__init__()
        self.timeouts = (30.0, 3.0) if patient else (6.0, 10.0)
        self.kit.coordinator.settings.initial_delay = initial_delay
        self.protocol = protocol
        self.members = {name: self.start(name) for name in NAMES}
        self.syncs: dict[str, tuple[int, list[SyncedGroup]]] = {}
        self.gave_back: set[str] = set()
        # Sensible steps come often, and each part of a rebalance has its own.
        self.steps += [
            *(self.join, self.join, self.join, self.sync, self.sync, self.heartbeat, self.heartbeat),
            *(self.everybody, self.everybody, self.commit, self.commit, self.leave, self.restart, self.confuse),
        ]

    def start(self, name: str) -> Classic:
        topics = (TOPIC, "other") if name == "a" else (TOPIC,)
        session, rebalance = self.timeouts
        return Classic(
            self.kit,
            self.life(name),
            instance_id=self.instance(name),
            protocol=self.protocol,
            topics=topics,
            session=session,
            rebalance=rebalance,
        )

    def learn(self) -> None:
        for name, member in self.members.items():
            member.learn()
            if name in self.syncs:
                generation, answers = self.syncs[name]
                if answers and generation == member.generation and not answers[0].error:
                    if self.protocol == "cooperative-sticky" and set(member.assignment) - set(answers[0].assignment):
                        self.gave_back.add(name)
                    member.assignment = answers[0].assignment

    def join(self, name: str, how: int) -> None:
        member = self.members[name]
        if how % 5 == 4:
            member.topics = (TOPIC,) if len(member.topics) > 1 else (TOPIC, "other")
        answers = member.ask_to_join() if how % 4 == 3 else member.join()
        if answers and answers[0].error == "MEMBER_ID_REQUIRED":
            member.id = answers[0].member_id
        if answers and answers[0].error in ("UNKNOWN_MEMBER_ID", "FENCED_INSTANCE_ID"):
            self.restart(name, how)
        self.learn()

    def sync(self, name: str, how: int) -> None:
        member = self.members[name]
        self.syncs[name] = (member.generation, member.sync())
        self.learn()

    def heartbeat(self, name: str, how: int) -> None:
        self.members[name].heartbeat()

    def everybody(self, name: str, how: int) -> None:
        """As well-behaved clients do: what a heartbeat says is done, for some rounds."""
        for _ in range(1 + how % 4):
            for other in NAMES:
                self.behave(other)

    def behave(self, name: str) -> None:
        member = self.members[name]
        error = member.heartbeat() if member.generation >= 0 else "UNKNOWN_MEMBER_ID"
        if error in ("UNKNOWN_MEMBER_ID", "FENCED_INSTANCE_ID"):
            if member.generation >= 0 or (member.joins and member.joins[0].error):
                self.members[name] = member = self.start(name)
                self.syncs.pop(name, None)
            if member.joins == []:
                member.join()
        elif error in ("REBALANCE_IN_PROGRESS", "ILLEGAL_GENERATION"):
            if member.joins:
                member.join()
        elif name in self.gave_back:
            # Its second round: what it gave back may be assigned now.
            self.gave_back.remove(name)
            member.join()
        elif name not in self.syncs or self.syncs[name][0] != member.generation or self._sync_failed(name):
            self.sync(name, 0)
        self.learn()

    def _sync_failed(self, name: str) -> bool:
        answers = self.syncs[name][1]
        return bool(answers and answers[0].error)

    def commit(self, name: str, how: int) -> None:
        member = self.members[name]
        view = self.kit.coordinator.members(GROUP).get(member.id)
        state = self.kit.coordinator.state(GROUP)
        # With a wrong generation sometimes.
        generation = member.generation + (how % 3 == 2)
        allowed = view is not None and view.epoch == generation and state != "CompletingRebalance"
        allowed = allowed or (state in ("Empty", "Dead") and generation < 0)
        self.commit_as(member, how, generation, allowed, member.instance_id)

    def leave(self, name: str, how: int) -> None:
        self.members[name].leave()

    def restart(self, name: str, how: int) -> None:
        self.members[name] = self.start(name)
        self.syncs.pop(name, None)

    def confuse(self, name: str, how: int) -> None:
        """A request that a former life of somebody would make."""
        member = self.members[name]
        old = Classic(self.kit, "ghost", instance_id=(member.instance_id, "strange", None)[how % 3])
        old.id, old.generation = (member.id, "ghost-1")[how // 3 % 2], member.generation - how % 2
        requests: list[Callable[[], object]] = [old.heartbeat, old.sync, old.commit, old.ask_to_join]
        requests[how % 4]()
        self.learn()

    def watch(self, views: dict[str, MemberView] | object) -> None:
        assert isinstance(views, dict)
        epochs = {view.epoch for view in views.values()}
        assert len(epochs) <= 1
        for epoch in epochs:
            assert epoch >= self.generation, "the generation went back"
            self.generation = epoch


class ConsumerCrowd(Crowd):
    def __init__(self, version: str = "4.3") -> None:
        super().__init__(version)
        self.members = {name: self.start(name) for name in NAMES}
        self.steps += [
            *(self.follow, self.follow, self.follow, self.follow, self.listen, self.listen, self.lose_answer),
            *(self.everybody, self.everybody, self.commit, self.commit, self.leave, self.go_away, self.restart),
            self.confuse,
        ]

    def start(self, name: str) -> Consumer848:
        rebalance = 100.0 if name in "ab" else 10.0
        return Consumer848(self.kit, self.life(name), instance_id=self.instance(name), rebalance=rebalance)

    def follow(self, name: str, how: int) -> None:
        member = self.members[name]
        if how % 5 == 4:
            member.topics = (TOPIC,) if len(member.topics) > 1 else (TOPIC, "other")
        self._fenced(name, member.follow())

    def listen(self, name: str, how: int) -> None:
        """It hears what it has, and gives nothing back yet; sometimes it names nothing."""
        member = self.members[name]
        self._fenced(name, member.beat(full=how % 3 > 0).error)
        # What is its own for sure it may take at once.
        kept = tuple(partition for partition in member.assignment if partition not in member.owned)
        member.owned = member.owned + kept

    def lose_answer(self, name: str, how: int) -> None:
        member = self.members[name]
        before = member.epoch, member.assignment
        error = member.beat(full=how % 4 > 0).error
        if not error:
            member.epoch, member.assignment = before
        else:
            self._fenced(name, error)

    def _fenced(self, name: str, error: str) -> None:
        if error in ("FENCED_MEMBER_EPOCH", "UNKNOWN_MEMBER_ID"):
            member = self.members[name]
            member.epoch, member.owned, member.assignment = 0, (), ()
        elif error in ("FENCED_INSTANCE_ID", "UNRELEASED_INSTANCE_ID"):
            self.restart(name, 0)

    def everybody(self, name: str, how: int) -> None:
        for _ in range(1 + how % 4):
            for other in NAMES:
                self.follow(other, 0)

    def commit(self, name: str, how: int) -> None:
        member = self.members[name]
        view = self.kit.coordinator.members(GROUP).get(member.id)
        epoch = max(member.epoch - how % 3, -1) + (how % 5 == 4)
        allowed = view is not None and (
            view.epoch == epoch
            or (self.kit.coordinator.settings.recent and epoch < view.epoch and orders(how % 4)[0] in view.owned)
        )
        state = self.kit.coordinator.state(GROUP)
        allowed = allowed or (state in ("Empty", "Dead") and epoch < 0)
        self.commit_as(member, how, epoch, allowed)
        self.kit.fetch(member_id=member.id if how % 2 else "", epoch=epoch)

    def leave(self, name: str, how: int) -> None:
        self.members[name].leave()
        self.members[name] = self.start(name)

    def go_away(self, name: str, how: int) -> None:
        member = self.members[name]
        member.leave(for_a_while=True)
        if how % 3:
            self.members[name] = self.start(name)
        else:
            member.epoch, member.owned, member.assignment = 0, (), ()

    def restart(self, name: str, how: int) -> None:
        self.members[name] = self.start(name)

    def confuse(self, name: str, how: int) -> None:
        """A heartbeat that a former life of somebody would send."""
        member = self.members[name]
        old = Consumer848(self.kit, "ghost", instance_id=(member.instance_id, "strange", None)[how % 3])
        old.id, old.owned = (member.id, "ghost-1")[how // 3 % 2], member.owned
        epoch = member.epoch + (1, -1, 2)[how % 3] if old.id == member.id else 3
        if epoch > 0 and epoch != member.epoch:
            old.beat(epoch)

    def watch(self, views: dict[str, MemberView] | object) -> None:
        assert isinstance(views, dict)
        for member in self.members.values():
            view = views.get(member.id)
            if view is not None and view.epoch == member.epoch:
                assert set(member.owned) <= set(view.owned), f"{member.id} owns what the coordinator does not know of"
