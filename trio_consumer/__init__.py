"""Consume Kafka topics from Trio: many records at once, in key order, never committing past work that is not done."""

from __future__ import annotations

from .client.embedded import EmbeddedCluster, open_embedded_cluster
from .config import ConsumerConfig, Order
from .consumer import Consumer, open_consumer
from .core.retries import Backoff
from .errors import (
    AuthenticationFailed,
    AuthorizationFailed,
    BrokerUnreachable,
    CallbackFailed,
    ClientError,
    ConfigurationError,
    Fenced,
    HandlerFailed,
    InternalError,
    StateError,
    TrioConsumerError,
    UnknownTopic,
)
from .record import Partition, Record
from .statistics import Blocking, PartitionStatistics, Statistics

__all__ = [
    "AuthenticationFailed",
    "AuthorizationFailed",
    "Backoff",
    "Blocking",
    "BrokerUnreachable",
    "CallbackFailed",
    "ClientError",
    "ConfigurationError",
    "Consumer",
    "ConsumerConfig",
    "EmbeddedCluster",
    "Fenced",
    "HandlerFailed",
    "InternalError",
    "Order",
    "Partition",
    "PartitionStatistics",
    "Record",
    "StateError",
    "Statistics",
    "TrioConsumerError",
    "UnknownTopic",
    "open_consumer",
    "open_embedded_cluster",
]
