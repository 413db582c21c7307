"""The command line as people use it: processes, exit statuses, and the text they read."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from sorawatch import __version__, config, simulator
from sorawatch.cli import check
from sorawatch.cli.main import cli
from sorawatch.edges.store import Store
from sorawatch.errors import ConfigError
from tests.support import texts
from tests.support.workspace import KEY, Workspace, picture, wait_until

OURS = [name for name in os.environ if name.startswith("SORAWATCH")]


def program(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``sorawatch ARGUMENTS`` in a process of its own in ``folder``, with nothing of ours in the environment."""
    return subprocess.run(
        [sys.executable, "-m", "sorawatch", *arguments],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name not in OURS},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def sorawatch(folder: Path, *arguments: str) -> Result:
    """The same in this process, which is quicker; not for commands that get as far as to serve or to watch."""
    with chdir(folder):
        return CliRunner().invoke(cli, arguments, env=dict.fromkeys(OURS))


def test_version(tmp_path: Path) -> None:
    done = program(tmp_path, "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"sorawatch {__version__}\n", "")


def test_a_process_ends_with_the_status_of_its_command_and_tells_errors_on_stderr(tmp_path: Path) -> None:
    done = program(tmp_path, "run")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    done = program(tmp_path, "check")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("✗ ")


@pytest.mark.parametrize("command", ["run", "status", "check", "pause", "preview x.jpg", "show x", "retry x"])
def test_without_a_configuration_every_command_says_where_it_looked(tmp_path: Path, command: str) -> None:
    done = sorawatch(tmp_path, *command.split())
    assert done.exit_code == (1 if command == "check" else 2)
    told = done.output
    assert f"{texts.NO_CONFIGURATION} $SORAWATCH_CONFIG (not set), ./config.yaml" in told
    assert "sorawatch init" in told
    assert "Traceback" not in told


def test_usage_errors_exit_with_2(tmp_path: Path) -> None:
    assert sorawatch(tmp_path, "runn").exit_code == 2
    assert sorawatch(tmp_path, "retry").exit_code == 2
    assert sorawatch(tmp_path, "simulate", "--port", "many").exit_code == 2


def test_init_then_check_names_what_is_missing(tmp_path: Path) -> None:
    done = sorawatch(tmp_path, "init", "videos")
    assert done.exit_code == 0
    assert "sorawatch run -c videos/config.yaml" in done.stdout
    assert {path.name for path in (tmp_path / "videos").iterdir()} == {
        "config.yaml", "inbox", "outbox", "errors", "processed",
    }  # fmt: skip
    again = sorawatch(tmp_path, "init", "videos")
    assert again.exit_code == 2
    assert "already there, so nothing was changed" in again.stderr
    checked = sorawatch(tmp_path, "check", "-c", "videos/config.yaml")
    assert checked.exit_code == 1
    assert "✗" in checked.stdout
    assert texts.NO_KEY in checked.stdout
    assert "Set $SORAWATCH_API_KEY" in checked.stdout


def test_commands_to_copy_are_quoted_where_a_shell_would_break_them(workspace: Workspace, tmp_path: Path) -> None:
    assert "sorawatch run -c 'my videos/config.yaml'\n" in sorawatch(tmp_path, "init", "my videos").stdout
    (tmp_path / "my key").write_text(KEY)
    workspace.set("folders", outbox="out $HOME")
    workspace.set("api", key_file="my key")
    told = workspace.cli("check", status=1)
    assert f"mkdir -p '{tmp_path}/out $HOME'" in told
    assert f"chmod 600 '{tmp_path}/my key'" in told


def test_a_folder_in_place_of_a_file_is_told_with_the_file_to_name(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    workspace.set("state", value="state")
    for told in (workspace.cli("check", status=1), workspace.program("run", status=2)):
        assert f"state: {tmp_path}/state is a folder" in told
        assert f"Name a file in it: {tmp_path}/state/state.db" in told
    sorawatch(tmp_path, "init", "videos")
    told = sorawatch(tmp_path, "run", "-c", "videos").stderr
    assert told == "error: videos: is a folder. Name the file in it: videos/config.yaml\n"


def test_check_finds_a_state_that_may_not_be_written(unprivileged: Path) -> None:
    path = unprivileged / "config.yaml"
    path.write_text("state: st/state.db\n")
    (unprivileged / "st").mkdir()
    Store.create_or_open(unprivileged / "st/state.db", "me")[0].close()
    loaded = config.load(path, {})
    for kept, mode in ((unprivileged / "st", 0o555), (unprivileged / "st/state.db", 0o444)):
        usual = kept.stat().st_mode
        kept.chmod(mode)
        (found,) = (each for each in check.check(loaded, {}) if each.what.startswith("state, "))
        assert found.grave
        assert found.what == f"state, {unprivileged}/st/state.db: {kept} cannot be written by this user"
        assert found.hint.endswith(f"chown or chmod {kept}")
        kept.chmod(usual)


def test_places_out_of_reach_are_no_fault_of_sorawatch(unprivileged: Path) -> None:
    (unprivileged / "closed").mkdir(mode=0)
    with pytest.raises(ConfigError, match=r"closed/config.yaml: Permission denied\. Check its path and permissions"):
        config.find(unprivileged / "closed/config.yaml", {})
    path = unprivileged / "config.yaml"
    path.write_text("{folders: {inbox: closed/in}, state: closed/state.db}")
    told = [each.what for each in check.check(config.load(path, {}), {}) if each.grave]
    assert f"folders.inbox, {unprivileged}/closed/in: Permission denied" in told
    assert f"state: {unprivileged}/closed/state.db: Permission denied. {texts.ACCESS_REFUSED}" in told


def test_check_finds_another_daemon_on_the_inbox(workspace: Workspace) -> None:
    workspace.run_once()
    shutil.copy(workspace.root / "state.db", workspace.root / "another.db")
    with workspace.running():
        assert "ready to run" in workspace.cli("check")
        workspace.set("state", value="another.db")
        told = workspace.cli("check", status=1)
    assert f"folders.inbox, {workspace.inbox}: another sorawatch works on it" in told


@pytest.mark.slow
def test_output_that_is_closed_or_knows_few_characters_is_no_fault(workspace: Workspace) -> None:
    workspace.write_config()
    command = f"exec '{sys.executable}' -m sorawatch check >&-"
    done = subprocess.run(
        ["sh", "-c", command], cwd=workspace.root, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    told = workspace.program("check", env={"PYTHONIOENCODING": "ascii"})
    assert told.startswith(r"\u2713 the configuration")


def test_check_is_content_with_a_sound_configuration(workspace: Workspace) -> None:
    told = workspace.cli("check")
    assert "ready to run" in told
    assert texts.NOTICED_BY_EVENTS in told
    assert workspace.simulator.ledger().creates == 0


def test_check_names_every_problem_at_once(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "outbox").rmdir()
    (tmp_path / "errors").rmdir()
    (tmp_path / "errors").write_text("not a folder")
    (tmp_path / "api.key").chmod(0o644)
    workspace.write_config().chmod(0o666)
    told = workspace.cli("check", status=1)
    assert f"folders.outbox, {tmp_path}/outbox: there is no such folder" in told
    assert f"mkdir -p {tmp_path}/outbox" in told
    assert f"folders.errors, {tmp_path}/errors: it is not a folder" in told
    assert "everybody on this machine can read it" in told
    assert "everybody on this machine can change it" in told
    assert f"chmod 600 {tmp_path}/api.key" in told
    assert f"chmod o-w {tmp_path}/config.yaml" in told
    assert "4 things to fix" in told


def test_check_names_folders_in_which_others_could_replace_files(workspace: Workspace, tmp_path: Path) -> None:
    workspace.run_once()
    tmp_path.chmod(0o777)
    told = workspace.cli("check", status=1)
    assert f"{tmp_path}: everybody on this machine can replace config.yaml in it" in told
    assert "everybody on this machine can remove or replace it" in told
    assert f"chmod o-w {tmp_path}" in told
    tmp_path.chmod(0o1777)
    assert "ready to run" in workspace.cli("check")


@pytest.mark.slow
def test_a_folder_that_cannot_be_asked_after_is_named(workspace: Workspace) -> None:
    workspace.set("folders", outbox="o" * 300)
    told = workspace.cli("check", status=1)
    assert f"folders.outbox, {workspace.root}/{'o' * 300}: File name too long" in told.replace("\n", "")
    assert "folders.processed" in told
    assert f"{'o' * 300}: File name too long" in workspace.program("run", "--once", status=1)


def test_check_tells_a_refused_key_from_a_dead_server(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "api.key").write_text("sk-wrong")
    told = workspace.cli("check", status=1)
    assert texts.KEY_REFUSED in told
    assert "sk-wrong" not in told
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        workspace.set("api", base_url=f"http://127.0.0.1:{unused.getsockname()[1]}/v1")
        told = workspace.cli("check", status=1)
    assert texts.UNREACHABLE in told
    assert "Check the address" in told


@pytest.mark.parametrize(
    ("section", "values", "expected"),
    [
        ("api", {"base_url": "http://video.example.com/v1"}, "allow_http"),
        ("video", {"model": "sora-3"}, "sora-2"),
        ("video", {"size": "640x480"}, "1280x720"),
        ("video", {"seconds": 5}, "4, 8, 12"),
        ("folders", {"outbox": "inbox/out"}, "inbox"),
        ("folders", {"errors": "outbox"}, "outbox"),
        ("limits", {"in_flight": 0}, "limits.in_flight"),
    ],
)
def test_check_and_run_refuse_a_wrong_configuration(
    workspace: Workspace, section: str, values: dict[str, Any], expected: str
) -> None:
    workspace.set(section, **values)
    assert expected in workspace.cli("check", status=1)
    told = workspace.cli("run", status=2)
    assert expected in told
    assert "config.yaml" in told
    assert "Traceback" not in told


def test_run_once_prints_plain_lines_when_piped(workspace: Workspace) -> None:
    workspace.drop("beach.jpg")
    told = workspace.program("run", "--once")
    assert "beach.jpg" in told
    assert "delivered as beach.mp4" in told
    assert "\x1b" not in told
    assert KEY not in told


def test_run_once_exits_with_1_when_something_failed(workspace: Workspace) -> None:
    workspace.drop("beach.jpg", seconds=5)
    workspace.program("run", "--once", status=1)


def test_run_without_a_key_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "api.key").unlink()
    assert "api.key" in workspace.program("run", status=2)


@pytest.mark.slow
def test_a_second_daemon_names_the_first(workspace: Workspace) -> None:
    workspace.run_once()
    shutil.copy(workspace.root / "state.db", workspace.root / "other.db")
    with workspace.running():
        told = workspace.program("run", status=2)
        assert f"pid {os.getpid()} on" in told
        assert "state.db" in told
        workspace.set("state", value="other.db")
        told = workspace.program("run", status=2)
        assert f"pid {os.getpid()} on" in told
        assert "the inbox" in told


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_signal_stops_in_good_order(tmp_path: Path, number: signal.Signals) -> None:
    with simulator.running(simulator.SimulatorSettings(generation_seconds=float("inf"), frames_per_second=1)) as sim:
        workspace = Workspace(tmp_path, sim)
        workspace.drop("beach.jpg")
        daemon = workspace.spawn("run")
        sim.wait_for(lambda ledger: ledger.creates == 1)
        daemon.send_signal(number)
        daemon.communicate(timeout=60)
        assert daemon.returncode == 0
        assert set(workspace.files("inbox")) == {"beach.jpg", "beach.yaml"}
        (job,) = json.loads(workspace.cli("status", "--json"))["jobs"]
        assert job["state"] == "rendering"
        daemon = workspace.spawn("run")
        sim.finish_all()
        wait_until(lambda: workspace.files("processed"))
        daemon.terminate()
        daemon.communicate(timeout=60)
        assert sim.ledger().creates == 1


def test_a_killed_daemon_goes_on_and_buys_nothing_twice(workspace: Workspace) -> None:
    workspace.set("limits", in_flight=4)
    for number in range(12):
        workspace.drop(f"{number}.jpg")
    for creates in (2, 8):
        daemon = workspace.spawn("run")
        workspace.wait_for_creates(creates)
        daemon.kill()
        daemon.communicate()
    workspace.run_once()
    ledger = workspace.simulator.ledger()
    assert (ledger.creates, ledger.duplicates) == (12, 0)
    assert len(workspace.files("outbox")) == 12
    assert len(workspace.files("processed")) == 24
    assert workspace.files("inbox") == workspace.files("errors") == {}


def test_pause_and_resume_with_and_without_a_daemon(workspace: Workspace) -> None:
    workspace.run_once()
    assert "takes effect with the next" in workspace.cli("pause")
    assert "paused with `sorawatch pause`" in workspace.cli("status")
    workspace.drop("beach.jpg")
    with workspace.running():
        wait_until(lambda: workspace.counts().get("ready") == 1)
        assert "no daemon" not in workspace.cli("resume")
        wait_until(lambda: workspace.files("processed"))
        workspace.cli("pause")
        wait_until(lambda: "paused with" in workspace.told())


def test_resume_names_the_file_that_stops_submissions(workspace: Workspace) -> None:
    workspace.run_once()
    (workspace.inbox / "Pause.txt").touch()
    workspace.cli("pause")
    workspace.drop("beach.jpg")
    told = workspace.cli("resume", status=1)
    assert f"nothing is submitted as long as {workspace.inbox / 'Pause.txt'} is there. Remove it to continue." in told
    assert "Resumed" not in told
    (workspace.inbox / "Pause.txt").unlink()
    assert workspace.run_once()
    assert workspace.files("outbox") != {}


def test_cancel_and_retry(workspace: Workspace) -> None:
    (workspace.inbox / "PAUSE").touch()
    workspace.drop("beach.jpg")
    with workspace.running():
        wait_until(lambda: workspace.counts().get("ready") == 1)
        workspace.cli("cancel", "beach.jpg")
        wait_until(lambda: len(workspace.files("errors")) == 3)
        assert "cancelled with `sorawatch cancel`" in (workspace.errors / "beach.error.txt").read_text()
        assert "cancelled" in workspace.cli("show", "beach.jpg")
        (workspace.inbox / "PAUSE").unlink()
        workspace.cli("retry", "beach.jpg")
        wait_until(lambda: workspace.counts().get("done") == 1)
        assert workspace.files("errors") == {}
    assert workspace.simulator.ledger().creates == 1
    assert "it is done" in workspace.cli("cancel", "beach.jpg", status=1)


def test_unknown_jobs_are_refused(workspace: Workspace) -> None:
    assert texts.NO_STATE in workspace.cli("status", status=2)
    workspace.run_once()
    for command in ("show", "retry", "cancel"):
        told = workspace.cli(command, "nosuchjob", status=1)
        assert "there is no job nosuchjob" in told
        assert "sorawatch status" in told


def test_status_json_is_for_programs(workspace: Workspace) -> None:
    workspace.drop("beach.jpg", seconds=4)
    workspace.run_once()
    status = json.loads(workspace.cli("status", "--json"))
    assert status["daemon"] == {"running": False, "pid": None}
    assert status["counts"] == {"done": 1}
    spending = {"spent_usd": 0.4, "reserved_usd": 0, "left_usd": None, "cap_usd": None, "clips": 1}
    assert status["spending"] == {"today": spending, "month": spending}
    (job,) = status["jobs"]
    assert job["image"] == "beach.jpg"
    assert job["clip"] == "beach.mp4"
    assert job["charged"] == "yes"


def test_names_of_any_bytes_do_no_harm_to_a_terminal(workspace: Workspace) -> None:
    strange = os.fsdecode(b"\x1b[31m\n\xff")
    workspace.drop(f"{strange}.jpg", "waves")
    workspace.drop(f"lone{strange}.png", "")
    (workspace.inbox / f"empty{strange}.jpg").touch()
    log = workspace.program("run", "--once", env={"PYTHONIOENCODING": "utf-8:strict"})
    status, show = workspace.cli("status"), workspace.cli("show", f"{strange}.jpg")
    report = workspace.cli("report")
    for told in (log, status, show, report):
        assert "\x1b" not in told
        assert r"\x1b[31m\n\\udcff.mp4" in told
    waiting = json.loads(workspace.cli("status", "--json"))["waiting"]
    assert {each["path"] for each in waiting} == {"empty\x1b[31m\n\\udcff.jpg", "lone\x1b[31m\n\\udcff.png"}


def test_show_tells_the_history(workspace: Workspace) -> None:
    workspace.drop("beach.jpg", "slow waves")
    workspace.run_once()
    told = workspace.cli("show", "beach.jpg")
    for word in ("slow waves", "found", "ready", "submitting", "rendering", "rendered", "delivered", "done", "$0.80"):
        assert word in told


def test_preview_writes_what_would_be_uploaded(workspace: Workspace, tmp_path: Path) -> None:
    picture(tmp_path / "tall.jpg", (300, 900))
    (tmp_path / "tall.yaml").write_text("size: auto\nseconds: 12\nfit: pad\n")
    told = workspace.cli("preview", "tall.jpg", "-o", "out.jpg")
    assert "720x1280" in told
    assert "$1.20" in told
    from PIL import Image

    with Image.open(tmp_path / "out.jpg") as reference:
        assert (reference.size, reference.format) == ((720, 1280), "JPEG")
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    assert "broken.jpg" in workspace.cli("preview", "broken.jpg", status=1)
    assert "gone.jpg" in workspace.cli("preview", "gone.jpg", status=1)


def answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_simulate_serves_until_stopped(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    # A shell starts what runs in the background with SIGINT ignored, these tests perhaps among it.
    command = ["env", "--default-signal=INT", sys.executable, "-m", "sorawatch", "simulate", "--port", str(port)]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert f"http://127.0.0.1:{port}/v1" in server.stdout.readline()
        wait_until(lambda: answers(port))
        server.send_signal(signal.SIGINT)
        assert server.wait(60) == 0


@pytest.mark.slow
def test_simulate_announces_only_an_address_that_answers(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = program(tmp_path, "simulate", "--port", str(taken.getsockname()[1]))
    assert (done.returncode, done.stdout) == (2, "")
    assert "Address already in use" in done.stderr
    command = [sys.executable, "-m", "sorawatch", "simulate", "--port", "0"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline().partition("127.0.0.1:")[2].partition("/")[0])
        assert answers(port)
        server.kill()


def test_simulate_lists_the_apis_that_it_speaks(tmp_path: Path) -> None:
    text = " ".join(sorawatch(tmp_path, "simulate", "--help").stdout.replace("│", " ").split())
    assert all(name in text for name in simulator.APIS)

    done = sorawatch(tmp_path, "simulate", "--api", "sora")
    assert done.exit_code == 2
    assert all(name in done.stderr for name in simulator.APIS)


@pytest.mark.slow
def test_simulate_is_not_open_to_other_machines_by_accident(tmp_path: Path) -> None:
    done = sorawatch(tmp_path, "simulate", "--host", "0.0.0.0")
    assert done.exit_code == 2
    assert "--allow-remote" in done.stderr
