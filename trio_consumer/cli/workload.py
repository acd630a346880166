"""The records of the demo: the same for the same numbers and seed, so that a run can be told again.

Each value names its key and its sequence number within the key, and carries a digest of both: a record that was mixed
up on its way is seen.
"""

from __future__ import annotations

import hashlib
import random
import zlib
from collections import Counter
from collections.abc import Iterator

import attrs

from ..errors import ConfigurationError

PARTITION_RECORDS_MAX = 60_000
"""The embedded cluster keeps about 5 MB of a partition; this many of our records are below that."""


@attrs.frozen(kw_only=True)
class Workload:
    """What is produced.

    Args:
        records: How many.
        keys: How many keys they are drawn from.
        partitions: How many partitions the topic has.
        seed: Decides the keys, their order and the values.
    """

    records: int
    keys: int
    partitions: int
    seed: int

    def __attrs_post_init__(self) -> None:
        for name in ("records", "keys", "partitions"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"--{name} {getattr(self, name)}: give at least 1")
        most = max(Counter(partition for partition, _, _ in self).values())
        if most > PARTITION_RECORDS_MAX:
            raise ConfigurationError(
                f"--records {self.records}: one partition would get {most:,}, and the embedded cluster keeps about "
                f"{PARTITION_RECORDS_MAX:,}; give more --partitions or --keys, or fewer --records"
            )

    def __iter__(self) -> Iterator[tuple[int, bytes, bytes]]:
        """Partition, key and value of each record, in the order in which they are produced."""
        rng, sequences = random.Random(self.seed), [0] * self.keys
        for _ in range(self.records):
            number = rng.randrange(self.keys)
            key = b"key-%d" % number
            yield zlib.crc32(key) % self.partitions, key, value_of(self.seed, key, sequences[number])
            sequences[number] += 1


def value_of(seed: int, key: bytes, sequence: int) -> bytes:
    """The value of a key's record with this sequence number."""
    text = b"%d %b %d" % (seed, key, sequence)
    return b"%b %b" % (text, hashlib.blake2b(text, digest_size=8).hexdigest().encode())
