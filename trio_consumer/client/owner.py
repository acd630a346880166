"""The one thread that owns the confluent-kafka Consumer, for its whole life.

Two threads that call one Consumer starve each other, so every call is made here: requests come by a queue and are
carried out between short polls, events leave by the `Bridge`. Invariants:

- Nothing leaves a callback: an exception there would lose records, and can hang close().
- Inside a rebalance callback nothing polls: that can abort the process. Requests are carried out there too, until the
  revoked partitions are released, or until our own deadline, when they count as lost.
- A tenure gets a number at its start. A commit that was asked for in another tenure is refused here: brokers do not
  fence partitions.
- Records that are in hand when partitions are revoked or lost are dropped if they belong to these, else kept.
- A tenure also ends when the client says that it can't go on, or was not polled in time; no on_lost need follow. In the
  latter case the client may keep the partition without a word: then it is to join again (`presumed`).
"""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from ..errors import ClientError, ConfigurationError, InternalError
from ..record import Partition
from . import callbacks, committed, fetching
from .bridge import Answer, Bridge
from .port import Assigned, Failed, Lost, Records, Revoked
from .presumed import Presumed
from .requests import Close, CommitOffsets, CommitsInFlight, Fetch, Pause, Release, Request, Resume, Seek, refusal
from .settings import is_kip_848, max_poll_interval_seconds, without_secrets
from .startup import GivenUp, Startup
from .translation import DEAD, not_assigned, translate

log = logging.getLogger("trio_consumer.client")

POLL_SECONDS = 0.05
"""How long one poll waits for a record, and so how long a request may wait for its turn."""
BUSY_POLL_SECONDS = 0.005
"""The same while a commit is on its way."""
IDLE_SECONDS = 0.5
"""How often positions are looked up while no record comes: they pass trailing holes."""
REVOKE_SHARE = 0.8
"""Part of ``max.poll.interval.ms`` after which a revoke that was not released counts as a loss."""

_error_of = Message.error


class Owner:
    """The thread's state. `run` is the thread; the other public methods may be called from anywhere.

    Args:
        settings: Prepared.
        topics: What to subscribe at the first fetch.
        startup_seconds: How long brokers get to answer.
        bridge: The way to Trio.
    """

    def __init__(
        self, settings: Mapping[str, Any], topics: Sequence[str], startup_seconds: float, bridge: Bridge
    ) -> None:
        self._settings = settings
        self._topics = list(topics)
        self._one_topic = len(self._topics) == 1 and not self._topics[0].startswith("^")
        self._bridge = bridge
        self._requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
        self._revoke_seconds = REVOKE_SHARE * max_poll_interval_seconds(settings)
        self._startup: Startup | None = Startup(settings, self._topics, startup_seconds, lambda: self._closing)
        self._user_error_cb = settings.get("error_cb")
        self._commits = CommitsInFlight(self._reply)
        self._reading = fetching.Reading()
        self._consumer: Consumer = None  # type: ignore[assignment]  # set first thing by run
        self._tenures: dict[Partition, int] = {}
        self._tenures_begun = 0
        self._presumed = Presumed()
        self._paused: set[Partition] = set()
        self._held: list[Message] = []
        self._halted: set[Partition] = set()
        self._wanted = 0
        self._batch_max = 0
        self._flowing = False
        self._subscribed = False
        self._revoking = False
        self._closing = False
        self._dead: ClientError | None = None
        self._await_reason: list[Answer] = []
        self._idle_due = 0.0

    def ask(self, request: Request) -> None:
        """Queue a request; what it takes for an answer is in it."""
        if isinstance(request, Close):
            self._closing = True  # seen between steps that read no requests
        self._requests.put(request)

    def run(self) -> None:
        """The thread: from the constructor to close(). Never raises."""
        try:
            self._start()
            self._bridge.started(None)
            while not self._closing:
                self._carry_out_requests()
                if self._wanted and not self._closing:
                    self._fetch()
        except GivenUp:
            pass
        except BaseException as error:  # noqa: ASYNC103  a thread of its own: no Trio task runs here
            if self._startup is None or not isinstance(error, (ClientError, ConfigurationError)):
                error = _internal(error)
            self._bridge.started(error)
            if isinstance(error, InternalError):
                self._bridge.emit(Failed(error))
        finally:
            self._close()

    # Start and end

    def _start(self) -> None:
        settings = callbacks.install(self._settings, self._callback_failed)
        settings["error_cb"] = self._on_error
        settings["on_commit"] = self._guarded(self._commits.answered)
        try:
            self._consumer = Consumer(settings)
        except Exception as error:  # a KafkaException, or a TypeError for a value of the wrong kind
            text = error.args[0].str() if isinstance(error, KafkaException) else str(error)
            refused = f"the Kafka client refuses its settings: {without_secrets(text, self._settings)}"
            raise ConfigurationError(refused) from None
        if self._startup is not None:
            self._startup.check(self._consumer)
        self._startup = None

    def _close(self) -> None:
        self._closing = True
        if self._consumer is None:
            return
        try:
            self._consumer.close()
        except Exception:
            log.warning("closing the Kafka client failed", exc_info=True)

    # Requests

    def _carry_out_requests(self) -> None:
        """All that are queued. Waits for one if there is nothing to fetch for."""
        try:
            if self._wanted:
                request = self._requests.get_nowait()
            elif self._commits or self._await_reason:
                request = self._requests.get(timeout=BUSY_POLL_SECONDS)
            else:
                request = self._requests.get()
            while True:
                self._carry_out(request)
                request = self._requests.get_nowait()
        except queue.Empty:
            if not self._wanted and not self._closing:
                self._hold_one()

    def _carry_out(self, request: Request) -> None:
        if isinstance(request, Fetch):
            self._wanted = self._batch_max = request.records_max
            self._go_on()
        elif isinstance(request, CommitOffsets):
            self._answer(request, "commit", lambda: self._commit(request))
        elif isinstance(request, Pause):
            self._answer(request, "pause", lambda: self._pause(request.partitions))
        elif isinstance(request, Resume):
            self._answer(request, "resume", lambda: self._resume(request.partitions))
        elif isinstance(request, Seek):
            self._answer(request, "seek", lambda: self._seek(request))
        # A Release that finds no revoke came too late: the partitions were given up as lost. Close has set its flag.

    def _answer(
        self, request: CommitOffsets | Pause | Resume | Seek, what: str, carry_out: Callable[[], bool | None]
    ) -> None:
        try:
            answered = carry_out()
        except Exception as error:
            self._reply(request.answer, refusal(error, what))
        else:
            if answered is not False:
                self._reply(request.answer, None)

    def _reply(self, answer: Answer, error: ClientError | None) -> None:
        if error is not None and error.code == DEAD:
            # Requests to a dead client are not told why it died; that comes by a poll.
            if self._dead is None and not self._revoking:
                self._await_reason.append(answer)
                return
            error = self._dead or error
        self._bridge.answer(answer, error)

    def _commit(self, request: CommitOffsets) -> bool:
        """False: the answer comes by another way."""
        self._check_tenures("commit", request.tenures)
        if self._revoking:
            self._commits.send_and_wait(self._consumer, request)
        else:
            self._commits.send(self._consumer, request)
        return False

    def _check_tenures(self, what: str, tenures: Mapping[Partition, int]) -> None:
        stale = [partition for partition, number in tenures.items() if self._tenures.get(partition) != number]
        if stale:
            raise not_assigned(what, stale)

    def _pause(self, partitions: Collection[Partition]) -> None:
        ours = [partition for partition in partitions if partition in self._tenures]
        if ours:
            self._consumer.pause(fetching.topic_partitions(ours))
            self._paused.update(ours)

    def _resume(self, partitions: Collection[Partition]) -> None:
        self._paused.difference_update(partitions)
        ours = [one for one in partitions if one in self._tenures and one not in self._halted]
        if ours:
            self._consumer.resume(fetching.topic_partitions(ours))

    def _seek(self, request: Seek) -> None:
        self._check_tenures("seek", request.tenures)
        for partition, offset in request.offsets.items():
            self._consumer.seek(TopicPartition(partition.topic, partition.number, offset))
            self._forget_in_hand([partition])
            self._reading.forget([partition])
            self._bridge.drop(partition)

    # Fetching

    def _fetch(self) -> None:
        """One step towards the granted batch: what is there at once, or one poll for a first record."""
        if not self._subscribed:
            self._subscribe()
        if self._held:
            self._deliver_held()
            return
        messages = self._consumer.consume(self._wanted, 0) if self._flowing else []
        if not messages:
            # A record that poll() returns is sent before anything else is asked of the client: the next call may run a
            # revoke of its partition.
            message = self._consumer.poll(BUSY_POLL_SECONDS if self._commits else POLL_SECONDS)
            messages = [] if message is None else [message]
            self._presumed.passed()
        self._flowing = bool(messages)
        if messages:
            self._deliver(messages)
        else:
            self._deliver_positions()
        self._join_again_if_need_be()

    def _subscribe(self) -> None:
        self._subscribed = True
        try:
            self._consumer.subscribe(
                self._topics,
                on_assign=self._guarded(self._on_assign),
                on_revoke=self._guarded(self._on_revoke),
                on_lost=self._guarded(self._on_lost),
            )
        except KafkaException as error:
            self._bridge.emit(Failed(translate(error, f"subscription of {', '.join(self._topics)}", fatal=True)))

    def _join_again_if_need_be(self) -> None:
        now = time.monotonic()
        if now < self._presumed.due or self._dead is not None or self._closing:
            return
        consumer = self._consumer
        try:
            kept = self._presumed.kept(consumer.memberid(), _partitions(consumer.assignment()), now)
            if kept:
                log.warning("%d partitions count as lost, but the client keeps them: it joins again", len(kept))
                consumer.unsubscribe()
                self._subscribe()
        except KafkaException:
            log.warning("the client could not join again", exc_info=True)  # it is about to say why

    def _deliver(self, messages: list[Message]) -> None:
        if any(map(_error_of, messages)):
            messages = self._without_errors(messages)
        built = fetching.build(messages, self._tenures, one_topic=self._one_topic)
        positions = built.positions
        moved = self._reading.moved(self._consumer, positions)
        for partition, position in moved.items():
            positions[partition] = max(positions.get(partition, 0), position)
        if built.records:
            self._send(built)
        elif positions:
            self._bridge.emit(Records([], positions, self._reading.ends(self._consumer, self._tenures, positions)))

    def _deliver_held(self) -> None:
        messages, self._held = self._held[: self._wanted], self._held[self._wanted :]
        built = fetching.build(messages, self._tenures, one_topic=self._one_topic)
        if built.records:
            self._reading.delivered(built.positions)
            self._send(built)

    def _send(self, built: fetching.Built) -> None:
        records, positions, bytes_max = built
        # A lone record from poll() uses up only its own share: what came with it follows at once.
        self._wanted = 0 if len(records) > 1 else self._wanted - 1
        ends = self._reading.ends(self._consumer, self._tenures, positions)
        self._idle_due = time.monotonic() + IDLE_SECONDS
        self._bridge.emit(Records(records, positions, ends, bytes_max), last=not self._wanted)

    def _deliver_positions(self) -> None:
        if not self._tenures or time.monotonic() < self._idle_due:
            return
        self._idle_due = time.monotonic() + IDLE_SECONDS
        positions = self._reading.moved(self._consumer, tuple(self._tenures))
        ends = self._reading.ends(self._consumer, self._tenures)
        if positions or ends:
            self._bridge.emit(Records([], positions, ends))

    def _hold_one(self) -> None:
        """Poll for the answer to a commit although nobody wants records; one that comes is kept for the next batch.

        It takes its time with it: an answer needs a few milliseconds. With a second batch in hand it stops fetching, at
        the price of what the client has fetched ahead.
        """
        if not self._subscribed:
            return
        if len(self._held) >= self._batch_max and self._tenures.keys() - self._halted:
            self._halted = set(self._tenures)
            self._consumer.pause(fetching.topic_partitions(self._halted))
        message = self._consumer.poll(0)
        self._presumed.passed()
        if message is not None:
            self._held.extend(self._without_errors([message]))
        self._join_again_if_need_be()

    def _go_on(self) -> None:
        """Fetch again what is ours and was not paused by request."""
        halted, self._halted = self._halted, set()
        ours = (halted & self._tenures.keys()) - self._paused
        if ours:
            self._consumer.resume(fetching.topic_partitions(ours))

    def _without_errors(self, messages: list[Message]) -> list[Message]:
        """Report the errors among them, note ends of partitions, and leave both out."""
        kept = []
        for message in messages:
            error = message.error()
            if error is None:
                kept.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                partition = Partition(*fetching.partition_of(message))  # type: ignore[arg-type]  # it has both
                if partition in self._tenures:
                    self._reading.reached(partition, message.offset() or 0)
            else:
                where = "" if message.topic() is None else f"{message.topic()}[{message.partition()}]"
                self._client_failed(error, where)
        return kept

    # Callbacks of the client

    def _guarded(self, callback: Callable[..., None]) -> Callable[..., None]:
        def guarded(*arguments: Any) -> None:
            try:
                callback(*arguments)
            except BaseException as error:  # noqa: ASYNC103  nothing may leave a callback, and no Trio task runs here
                self._bridge.emit(Failed(_internal(error)))

        return guarded

    def _on_assign(self, consumer: Consumer, assigned: list[TopicPartition]) -> None:
        partitions = _partitions(assigned)
        self._presumed.assigned(partitions)
        if self._closing or not partitions:
            return
        self._lose(partitions)  # normally none: a tenure that was never revoked
        found = committed.read(consumer, partitions)
        numbers = {}
        for partition in partitions:
            self._tenures_begun += 1
            numbers[partition] = self._tenures_begun
        # librdkafka lets a pause outlive the tenure; here it ends with it.
        consumer.resume(fetching.topic_partitions(partitions))
        self._paused.difference_update(partitions)
        self._halted.difference_update(partitions)
        self._forget_in_hand(partitions)  # what came while nobody had them
        self._tenures.update(numbers)
        self._idle_due = time.monotonic() + IDLE_SECONDS
        self._bridge.emit(Assigned(found), numbers)

    def _on_revoke(self, consumer: Consumer, revoked: list[TopicPartition]) -> None:
        self._presumed.named(_partitions(revoked))
        partitions = [partition for partition in _partitions(revoked) if partition in self._tenures]
        if self._closing or not partitions:
            self._forget(partitions)
            return
        event = Revoked(tuple(partitions))
        until = time.monotonic() + self._revoke_seconds
        self._forget_in_hand(partitions)
        self._bridge.emit(event)
        self._revoking = True
        try:
            released = self._serve_until_released(event, until)
        finally:
            self._revoking = False
        if released:
            self._forget(partitions)
        else:
            log.warning("%d revoked partitions were not released in time and count as lost", len(partitions))
            self._lose(partitions)

    def _serve_until_released(self, event: Revoked, until: float) -> bool:
        """False if the deadline came first."""
        while not self._closing:
            try:
                request = self._requests.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                return False
            if isinstance(request, Release) and request.revoked is event:
                return True
            self._carry_out(request)
        return True

    def _on_lost(self, consumer: Consumer, lost: list[TopicPartition]) -> None:
        self._presumed.named(_partitions(lost))
        self._lose(_partitions(lost))

    def _on_error(self, error: KafkaError) -> None:
        self._guarded(self._client_failed)(error)
        if self._user_error_cb is not None:
            callbacks.guard("error_cb", self._user_error_cb, self._callback_failed)(error)

    def _client_failed(self, error: KafkaError, where: str = "") -> None:
        translated = translate(error, where)
        if self._startup is not None:
            self._startup.note(translated)
            return
        is_dead = error.fatal() or error.code() == KafkaError._FATAL
        if is_dead or error.code() == KafkaError._MAX_POLL_EXCEEDED:
            if not is_dead and not is_kip_848(self._settings):  # there it never skips a loss
                self._presumed.lost(self._tenures)
            self._lose(tuple(self._tenures))
        if is_dead:
            if self._dead is not None:
                return  # librdkafka says it more than once
            self._dead = translated
            for answer in self._await_reason:
                self._bridge.answer(answer, translated)
            self._await_reason.clear()
        self._bridge.emit(Failed(translated))

    def _callback_failed(self, failure: Exception) -> None:
        if self._startup is not None:
            self._bridge.started(failure)
            self._closing = True
        else:
            self._bridge.emit(Failed(failure))

    # Tenures

    def _lose(self, partitions: Iterable[Partition]) -> None:
        ours = tuple(partition for partition in partitions if partition in self._tenures)
        if ours:
            self._forget(ours)
            self._bridge.emit(Lost(ours))

    def _forget(self, partitions: Collection[Partition]) -> None:
        self._forget_in_hand(partitions)
        self._reading.forget(partitions)
        for partition in partitions:
            self._tenures.pop(partition, None)

    def _forget_in_hand(self, partitions: Collection[Partition]) -> None:
        if self._held:
            self._held = [message for message in self._held if fetching.partition_of(message) not in partitions]


def _partitions(found: Iterable[TopicPartition]) -> list[Partition]:
    return [Partition(one.topic, one.partition) for one in found]


def _internal(error: BaseException) -> InternalError:
    internal = InternalError(f"the client's thread failed: {type(error).__name__}: {error}")
    internal.__cause__ = error
    return internal
