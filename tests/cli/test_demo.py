"""``sorawatch demo``, as a newcomer runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import av
import pytest


def demo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sorawatch", "demo", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=110, check=False)


def test_the_demo_makes_clips_and_explains_itself(tmp_path: Path) -> None:
    done = demo(tmp_path)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "sorawatch-demo"
    sizes = {}
    for clip in (folder / "outbox").glob("*.mp4"):
        assert str(clip) in done.stdout
        with av.open(str(clip)) as video:
            stream = video.streams.video[0]
            assert "Simulated" in video.metadata["title"]
            sizes[clip.stem] = (stream.width, stream.height, round(float(video.duration or 0) / av.time_base))
    assert sizes == {
        "balloon": (1280, 720, 4),
        "beach": (1280, 720, 8),
        "lighthouse": (720, 1280, 4),
        "mountains": (1280, 720, 4),
    }
    assert (folder / "errors/notes.error.txt").exists()
    for line in (
        'Did you mean "prompt"?',
        "Allowed: 4, 8, 12",
        "These clips are simulated",
        "sorawatch init",
        "sorawatch run",
        "0 of them twice",
    ):
        assert line in " ".join(done.stdout.split())
    assert "\x1b" not in done.stdout


def test_the_demo_leaves_other_peoples_folders_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("years of work")
    done = demo(tmp_path, "--dir", "mine")
    assert done.returncode == 2
    assert "is not empty" in done.stderr
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    "missing", ["av", *(pytest.param(name, marks=pytest.mark.slow) for name in ("uvicorn", "starlette"))]
)
def test_without_its_extra_the_demo_says_what_to_install(tmp_path: Path, missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; sys.argv = ['sorawatch', 'demo']; from sorawatch.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'sorawatch[demo]'" in done.stderr
