"""The core's tests count no seconds: a slow machine is no failure."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("core", settings(), deadline=None)
settings.load_profile("core")
