"""Files that sync tools and cloud services make: conflict copies, and placeholders of files that are only online.

Sources of the names: the documentation of Dropbox, Nextcloud, ownCloud, OpenCloud, Resilio Sync, Seafile, Syncthing
and Synology Drive. Google Drive, iCloud and OneDrive name conflict copies like any other copy ("beach 2.jpg"), so
theirs cannot be told.
"""

from __future__ import annotations

import re

_CONFLICT_WORD = re.compile("confli|konfli", re.IGNORECASE)
_CONFLICT_COPIES = (
    ("Syncthing", re.compile(r"\.sync-conflict-\d{8}-\d{6}(-\w+)?(?=\.|$)", re.IGNORECASE)),
    ("Seafile", re.compile(r" ?\(sfconflict [^()]*\)", re.IGNORECASE)),
    ("Dropbox", re.compile(r" ?\((case|selective sync|unicode encoding|whitespace) conflict[^()]*\)", re.IGNORECASE)),
    # Dropbox translates the words, such as "In Konflikt stehende Kopie" and "Copie en conflit". The date remains.
    (
        "a sync tool",
        re.compile(
            r" ?\(([^()]*conflicted copy[^()]*|[^()]*(confli|konfli)[^()]*\d{4}-\d\d-\d\d[^()]*)\)", re.IGNORECASE
        ),
    ),
    ("ownCloud", re.compile(r"_conflict-\d{8}-\d{6}(?=\.|$)", re.IGNORECASE)),
    ("Synology Drive", re.compile(r"_[^_]+_[a-z]{3}-\d\d-\d{4,6}-\d{4}_\w*conflict(_\d+)?(?=\.|$)", re.IGNORECASE)),
    ("Resilio Sync", re.compile(r"(\.conflict\d*)+(?=\.|$)", re.IGNORECASE)),
)
_PLACEHOLDERS = (
    ("iCloud", re.compile(r"\.(.+)\.icloud", re.IGNORECASE)),
    ("Nextcloud", re.compile(r"(.+)\.nextcloud", re.IGNORECASE)),
    ("ownCloud", re.compile(r"(.+)\.owncloud", re.IGNORECASE)),
    ("a cloud service", re.compile(r"(.+)\.cloudf?", re.IGNORECASE)),
)


def conflict_copy(name: str) -> str | None:
    """What a file is if its name is that of a conflict copy, for a sentence that begins with the name; else None."""
    # A scan asks for every name, and hardly any has the word.
    if not _CONFLICT_WORD.search(name):
        return None
    for tool, pattern in _CONFLICT_COPIES:
        original, replaced = pattern.subn("", name, count=1)
        if replaced:
            return (
                f"is a conflict copy of {original}, made by {tool}; it is not ordered. "
                "Delete it, or rename it to order it too"
            )
    return None


def placeholder(name: str) -> str | None:
    """What a file is if its name is that of an online-only placeholder, as in `conflict_copy`; else None."""
    if not name.casefold().endswith(("cloud", "cloudf")):
        return None
    for service, pattern in _PLACEHOLDERS:
        if found := pattern.fullmatch(name):
            return (
                f"is only a placeholder: {found[1]} itself is still in {service}, not on this disk. "
                "Make it available offline there"
            )
    return None
