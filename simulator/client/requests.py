"""What the Trio side asks of the client's thread: the real adapter's requests, but a commit carries its number."""

from __future__ import annotations

from typing import TypeAlias

import attrs

from trio_consumer.client import requests
from trio_consumer.client.requests import Close, Fetch, Pause, Release, Resume, Seek

__all__ = ["Close", "CommitOffsets", "Fetch", "Pause", "Release", "Request", "Resume", "Seek"]


@attrs.frozen
class CommitOffsets(requests.CommitOffsets):
    """``number`` ties it to `history.CommitAsked`."""

    number: int


Request: TypeAlias = Fetch | CommitOffsets | Pause | Resume | Seek | Release | Close
