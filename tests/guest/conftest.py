"""Tests that run in a kernel of their own, which ``tests/slow/test_network_file_systems.py`` starts."""

from __future__ import annotations

from tests.support.user_mode_linux import MOUNTS

collect_ignore_glob = [] if all(mount.is_mount() for mount in MOUNTS.values()) else ["test_*.py"]
