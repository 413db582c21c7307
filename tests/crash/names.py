"""Names that are the same in every run: pictures in place of the ids that jobs and videos are given at random."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from sorawatch.core.job import Job

_TEMPORARY = re.compile(r"(?<=\.sorawatch-)[0-9a-f-]+(?=\.part)")


@dataclass
class Names:
    """What is known of the jobs below ``root``. ``prompts`` leads from prompts to pictures."""

    root: Path
    prompts: Mapping[str, str]
    jobs: dict[str, str] = field(default_factory=dict)
    videos: dict[str, str] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)

    def learn(self, _before: Job | None, job: Job) -> None:
        """A listener of the daemon."""
        path = self.jobs[job.id] = job.pair.path
        if job.video_id is not None and job.video_id not in self.videos:
            self.videos[job.video_id] = f"{path} again" if path in self.videos.values() else path

    def place(self, path: Any, folder: int | None = None) -> str | None:
        """A path below ``root``, from there on; None for any other."""
        text = absolute(path, folder)
        if not text.startswith(f"{self.root}/"):
            return None
        parts = text[len(str(self.root)) + 1 :].split("/")
        return _TEMPORARY.sub("*", "/".join(self.jobs.get(part, part) for part in parts))

    def errand(self, method: str, url: str, body: Any) -> str:
        """A request: its method, and what it is about."""
        steps = [unquote(step) for step in urlsplit(url).path.split("/videos", 1)[-1].split("/") if step]
        if method == "POST":
            sent = body if isinstance(body, bytes) else body.getvalue()
            about = next((picture for prompt, picture in self.prompts.items() if prompt.encode() in sent), "?")
            return f"POST of {about}"
        if not steps:
            return "GET of the list"
        return f"GET of {'the clip of ' if steps[1:] == ['content'] else ''}{self.videos.get(steps[0], '?')}"

    def change(self, row: Mapping[str, Any]) -> str:
        """The writing of a row of the jobs' table: its picture, and whether its state is another than before."""
        path = f"{row['folder']}/{row['image']}" if row.get("folder") else str(row["image"])
        before, self.states[path] = self.states.get(path), row["state"]
        return f"commit {path} {'stays' if before == row['state'] else 'becomes'} {row['state']}"


def absolute(path: Any, folder: int | None = None) -> str:
    """The whole path of what a system call is about.

    Args:
        path: a path, or the descriptor of an open file.
        folder: the descriptor of the folder in which a relative path begins.
    """
    text = f"/proc/self/fd/{path}" if isinstance(path, int) else os.fsdecode(path)
    if folder is not None and folder >= 0 and not text.startswith("/"):
        text = f"{_followed(f'/proc/self/fd/{folder}')}/{text}"
    return _followed(text)


def _followed(path: str) -> str:
    return str(Path(path).readlink()) if path.startswith("/proc/self/fd/") else path
