"""The README put to the test as it stands: its commands, its configurations, the messages that it quotes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from configparser import RawConfigParser
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import pytest
import yaml
from typer.testing import CliRunner

from sorawatch import config, simulator
from sorawatch.app.state import StateLocation
from sorawatch.cli import main, samples
from sorawatch.config import dialect_file
from sorawatch.core.job import State
from sorawatch.core.limits import Limits
from sorawatch.core.order import Aim, Fit, Focus, Order
from sorawatch.core.picture_limits import MAX_PICTURE_BYTES
from sorawatch.core.reference_format import Format, ReferenceOptions
from sorawatch.core.sidecar import make_order, read_settings
from sorawatch.edges import yamlfile
from sorawatch.edges.confined import ProcessLimits
from sorawatch.edges.images.decoding import MAX_DECODED, MAX_PIXELS
from sorawatch.errors import Blocked
from sorawatch.simulator import Fault, SimulatorSettings
from tests.support.paths import ROOT
from tests.support.slotted_graph import slotted_graph
from tests.support.workspace import KEY, Workspace, wait_until

README = (ROOT / "README.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", README, re.DOTALL | re.MULTILINE))
BLOCKS = {
    "sh": {"Try it": 2, "The real thing": 3, "As a service": 2},
    "yaml": {
        "What to drop": 1,
        "Pictures": 1,
        "Limits and money": 1,
        "Configuration": 1,
        "Several machines": 1,
        "Another server": 4,
    },
}
"""How many blocks each section has; one more needs a test of its own here."""


def blocks(kind: str, title: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", SECTIONS[title], re.DOTALL | re.MULTILINE)


def table(title: str) -> list[list[str]]:
    """The cells of the section's table, without its heading."""
    rows = [line.strip("|").split("|") for line in SECTIONS[title].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", text)


def environment(**more: str) -> dict[str, str]:
    """Ours, without what a newcomer has not: an active virtual environment, settings of sorawatch, a narrow pipe."""
    ours = ("VIRTUAL_ENV", "PYTHON", "SORAWATCH", "COLUMNS")
    return {**{name: value for name, value in os.environ.items() if not name.startswith(ours)}, **more}


def clip(path: Path) -> tuple[int, int, int]:
    """Width, height and whole seconds of a simulated clip."""
    with av.open(str(path)) as video:
        assert "Simulated" in video.metadata["title"]
        stream = video.streams.video[0]
        return stream.width, stream.height, round(float(video.duration or 0) / av.time_base)


def sample(name: str) -> bytes:
    return (Path(samples.__file__).parent / name).read_bytes()


def clone(target: Path) -> Path:
    """The tracked files, as they lie here."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    for name in listed.stdout.rstrip("\0").split("\0"):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target / name)
    return target


@pytest.mark.parametrize("kind", BLOCKS)
def test_every_block_has_its_test(kind: str) -> None:
    assert {title: len(found) for title in SECTIONS if (found := blocks(kind, title))} == BLOCKS[kind]
    assert README.count(f"```{kind}\n") == sum(BLOCKS[kind].values())


def test_every_link_leads_somewhere() -> None:
    headings = {f"#{re.sub(r'[^a-z]+', '-', title.lower())}" for title in SECTIONS}
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert target in headings or (ROOT / target).is_file(), target


class TestInstalling:
    def test_the_test_command_is_what_ci_runs(self) -> None:
        _, tests = blocks("sh", "Try it")
        assert tests.strip() in (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()

    @pytest.mark.slow
    @pytest.mark.timeout(900)
    def test_the_demo_on_a_fresh_clone(self, tmp_path: Path) -> None:
        demo, _ = blocks("sh", "Try it")
        here = clone(tmp_path / "sorawatch")
        done = subprocess.run(
            ["sh", "-c", demo], cwd=here, env=environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "4 clips in" in done.stdout
        assert "0 of them twice" in done.stdout
        assert f". {here}/.venv/bin/activate" in done.stdout
        assert len(list((here / "sorawatch-demo/outbox").glob("*.mp4"))) == 4


class TestTheRealThing:
    @pytest.fixture
    def server(self) -> Iterator[simulator.Simulator]:
        with simulator.running(SimulatorSettings(key=None, generation_seconds=0.1, frames_per_second=1)) as running:
            yield running

    def test_it_works_as_written(self, tmp_path: Path, server: simulator.Simulator) -> None:
        if not Path(sys.prefix, "bin/activate").exists():
            pytest.skip("these tests do not run in a virtual environment that could be activated")
        start, drop, look = blocks("sh", "The real thing")
        (tmp_path / ".venv").symlink_to(sys.prefix)
        (tmp_path / "beach.jpg").write_bytes(sample("beach.jpg"))
        videos = tmp_path / "videos"

        def terminal(commands: str) -> subprocess.Popen[str]:
            return subprocess.Popen(
                ["sh", "-ec", commands],
                cwd=tmp_path,
                env=environment(SORAWATCH_API__BASE_URL=server.url),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )

        def in_another(commands: str) -> str:
            with terminal(commands) as shell:
                told, _ = shell.communicate(timeout=60)
                assert shell.returncode == 0, told
                return told

        with terminal(start) as first:
            try:
                wait_until(lambda: (videos / "inbox/.sorawatch").exists() or first.poll() is not None)
                in_another(drop)
                wait_until(lambda: (videos / "processed/beach.yaml").exists() or first.poll() is not None)
                assert "beach.jpg → beach.mp4" in in_another(look)
            finally:
                os.killpg(first.pid, signal.SIGINT)
            told, _ = first.communicate(timeout=60)
        for line in ("ready to run", f"watching {videos}/inbox", "delivered as beach.mp4", "stopped"):
            assert line in told
        assert clip(videos / "outbox/beach.mp4") == (1280, 720, 8)
        assert (videos / "processed/beach.jpg").read_bytes() == sample("beach.jpg")
        assert "not running" in in_another(look)
        assert server.ledger().creates == 1


def usage(*words: str) -> str:
    shown = CliRunner().invoke(main.cli, [*words, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert shown.exit_code == 0, shown.output
    return shown.output


GROUPS = {each.name for each in main.cli.registered_groups}
KNOWN = {each.name for each in main.cli.registered_commands} | GROUPS
COMMANDS = [command for row in table("Commands") for command in quoted(row[0])]


class TestCommands:
    @pytest.mark.parametrize("command", COMMANDS)
    def test_it_is_one_with_that_usage(self, command: str) -> None:
        _, name, *words = command.split()
        told = usage(name, words[0]) if name in GROUPS and words else usage(name)
        for word in re.findall(r"--?[a-z]+(?:-[a-z]+)*|[A-Z_]+", " ".join(words)):
            assert re.search(rf"(?<![\w-]){word}(?!\w)", told), word

    def test_all_are_listed(self) -> None:
        assert {command.split()[1] for command in COMMANDS} == KNOWN

    def test_the_text_names_no_others(self) -> None:
        named = {words.split()[1] for words in quoted(README) if words.startswith("sorawatch ")}
        assert named <= KNOWN

    def test_the_simulator_is_where_the_text_says(self) -> None:
        assert "base_url: http://127.0.0.1:8787/v1" in quoted(SECTIONS["Another server"])
        assert "sk-simulated" in quoted(SECTIONS["Another server"])
        assert "8787" in usage("simulate")
        assert "sk-simulated" in usage("simulate")


class TestFiles:
    def load(self, folder: Path, text: str, environ: dict[str, str] | None = None) -> config.Config:
        (folder / "config.yaml").write_text(text, encoding="utf-8")
        return config.load(folder / "config.yaml", environ or {})

    def test_the_sidecar(self, tmp_path: Path) -> None:
        (text,) = blocks("yaml", "What to drop")
        loaded = self.load(tmp_path, "")
        order = make_order([read_settings(yamlfile.load(text.encode(), "beach.yaml"))], loaded.catalogue)
        prompt = "Gentle waves, leaves swaying, slow camera push-in"
        assert order == Order(prompt, "sora-2", Aim.AUTO, 8, Fit.CROP, focus=Focus.AUTO)
        assert all(word in text for word in (*Fit, *Focus))
        assert all(aim in text for aim in Aim)

    def test_the_pictures(self, tmp_path: Path) -> None:
        (text,) = blocks("yaml", "Pictures")
        assert self.load(tmp_path, text).reference == ReferenceOptions(Format.WEBP, background=(255, 255, 255))
        section = " ".join(SECTIONS["Pictures"].split())
        assert [quoted(row[0]) for row in table("Pictures")][: len(Fit)] == [[fit] for fit in Fit]
        assert all(f"`{word}`" in section for word in (*Focus, *Format))
        assert f"at most {MAX_PIXELS // 10**6} million pixels" in section
        assert f"more than {MAX_DECODED // 16 // 10**6} million pixels" in section
        assert f"more than {MAX_DECODED // 10**6} MB when decoded" in section
        limits = ProcessLimits()
        limit = f"{MAX_PICTURE_BYTES >> 20} MiB, {limits.cpu_seconds:g} seconds of computing and {limits.address_space / 2**30:g}"
        assert f"{limit} GiB of memory" in section

    def test_a_folders_limits(self) -> None:
        (text,) = blocks("yaml", "Limits and money")
        said = read_settings(yamlfile.load(text.encode(), "_defaults.yaml"), of_folder=True)
        assert said.limits == Limits(in_flight=2, micros_per_clip=1_000_000, micros_per_day=5_000_000)

    def test_a_state_for_several_machines(self, tmp_path: Path) -> None:
        (text,) = blocks("yaml", "Several machines")
        where = StateLocation.of(self.load(tmp_path, text))
        assert where.database.place == "postgresql://sorawatch@db.example/sorawatch"
        assert where.spool.root == Path("/var/lib/sorawatch/work")

    def test_the_limits_are_the_defaults(self, tmp_path: Path) -> None:
        said = [(quoted(key), quoted(default) or default) for key, default, _ in table("Limits and money")]
        limits = self.load(tmp_path, "").limits
        assert said == [
            (["usd_per_day", "usd_per_month"], ["null"]), (["usd_per_clip"], ["null"]), (["confirm_above_usd"], ["null"]),
            (["in_flight"], "4"), (["submits_per_minute", "burst"], "30, 1"),
        ]  # fmt: skip
        assert limits == Limits(in_flight=4, submits_per_minute=30, burst=1, micros_per_day=20_000_000)

    def test_the_configuration(self, tmp_path: Path) -> None:
        (text,) = blocks("yaml", "Configuration")
        loaded = self.load(tmp_path, text)
        assert loaded.folders.inbox == Path("/srv/videos/inbox")
        assert loaded.api.key_file == Path("/etc/sorawatch/api.key")
        assert loaded.limits.micros_per_month == 300_000_000

    def test_its_environment_variables(self, tmp_path: Path) -> None:
        variables = {"SORAWATCH_API__BASE_URL": "https://video.example/v1", "SORAWATCH_LIMITS__USD_PER_DAY": "5"}
        assert set(re.findall(r"SORAWATCH_\w+__\w+", README)) == set(variables)
        loaded = self.load(tmp_path, "", variables)
        assert (loaded.api.base_url, loaded.limits.micros_per_day) == ("https://video.example/v1", 5_000_000)

    def test_other_servers_stand_in_the_example_too(self) -> None:
        commented = re.findall(r"^# \w.*\n((?:#   .*\n)+)", config.example(), re.MULTILINE)
        assert [re.sub("^#   ", "", text, flags=re.MULTILINE) for text in commented] == blocks("yaml", "Another server")

    @pytest.mark.parametrize("number", range(BLOCKS["yaml"]["Another server"]))
    def test_another_server(self, tmp_path: Path, number: int) -> None:
        """Each block as it stands but for the address."""
        said = yaml.safe_load(blocks("yaml", "Another server")[number])
        api = said["api"].get("dialect", "openai")
        (tmp_path / "workflow.json").write_text(json.dumps(slotted_graph()))
        settings = SimulatorSettings(api=api, generation_seconds=0.1, frames_per_second=1)
        with simulator.running(settings) as server:
            workspace = Workspace(tmp_path, server)
            workspace.settings["api"].pop("key_file")
            for section, values in said.items():
                workspace.set(section, **{**values, **({"base_url": server.url} if section == "api" else {})})
            workspace.drop("beach.jpg", "waves")
            assert workspace.run_once(TEAM_TOKEN="sesame", SORAWATCH_API_KEY=KEY)
            assert server.ledger().creates == 1
            if "headers" in said["api"]:
                (submit,) = server.submits()
                assert (submit.headers["x-team"], submit.headers["x-team-token"]) == ("film", "sesame")
                assert submit.headers["authorization"] == f"Bearer {KEY}"
        assert "sesame" not in (tmp_path / "state.db").read_bytes().decode("latin-1")
        assert {*workspace.files("outbox")} == {"beach.mp4"}

    def test_the_dialects_are_those_that_are_shipped(self) -> None:
        assert {name for row in table("Another server") for name in quoted(row[0])} == {*dialect_file.names()}


def paused(workspace: Workspace) -> str:
    workspace.drop("beach.jpg")
    with workspace.running():
        return wait_until(lambda: told if "nothing is submitted" in (told := workspace.told()) else None)


def with_a_wrong_key(workspace: Workspace) -> str:
    (workspace.root / "api.key").write_text("sk-wrong")
    return paused(workspace)


def with_a_model_that_the_server_has_not(workspace: Workspace) -> str:
    workspace.set("models", **{"sora-9": {"sizes": "any", "seconds": "any", "usd_per_second": 0}})
    workspace.set("video", model="sora-9")
    return paused(workspace)


def with_a_small_budget(workspace: Workspace) -> str:
    workspace.set("limits", usd_per_day=1)
    workspace.drop("first.jpg")
    return paused(workspace)


def with_a_big_batch(workspace: Workspace) -> str:
    workspace.set("limits", confirm_above_usd=1)
    for number in range(2):
        workspace.drop(f"{number}.jpg")
    assert not workspace.run_once()
    told = workspace.told()
    workspace.cli("approve")
    assert workspace.run_once()
    return told


def with_every_answer_lost(workspace: Workspace) -> str:
    workspace.simulator.inject(
        Fault("answer_before", on="create", status=504, shape="html", times=None),
        Fault("answer_before", on="list", status=404, shape="detail_text", times=None),
    )
    for number in range(6):
        workspace.drop(f"{number}.jpg")
    with workspace.running():
        wait_until(lambda: workspace.counts().get("held", 0) >= 2)
        return wait_until(lambda: told if "nothing is submitted" in (told := workspace.told()) else None)


def with_a_wrong_setting(workspace: Workspace) -> str:
    workspace.simulator.inject(Fault("answer_before", on="create", status=422, shape="detail_list", times=None))
    for number in range(0, 250, 50):
        workspace.drop(f"{chr(97 + number // 10)}.jpg")
    return paused(workspace)


def with_a_share_that_is_gone(workspace: Workspace) -> str:
    workspace.run_once()
    (workspace.inbox / ".sorawatch").unlink()
    return paused(workspace)


def with_a_lost_answer(workspace: Workspace) -> str:
    no_list = Fault("answer_before", on="list", status=404, shape="detail_text", times=None)
    workspace.simulator.inject(Fault("lost_after", on="create"), no_list)
    workspace.drop("beach.jpg")
    assert not workspace.run_once()
    told = workspace.cli("show", "beach.jpg")
    assert "sorawatch adopt" in told
    assert "sorawatch retry" in told
    return told


def with_a_second_daemon(workspace: Workspace) -> str:
    with workspace.running():
        return workspace.program("run", status=2)


def with_an_inbox_of_another_state(workspace: Workspace) -> str:
    workspace.run_once()
    for path in workspace.root.glob("state.db*"):
        path.rename(workspace.root / f"other-{path.name}")
    told = workspace.program("run", status=2)
    workspace.cli("recover", "--take-over", "--yes")
    workspace.drop("beach.jpg")
    assert workspace.run_once()
    return told


def with_its_state_lost(workspace: Workspace) -> str:
    (workspace.inbox / "PAUSE").touch()
    workspace.drop("beach.jpg")
    with workspace.running():
        wait_until(lambda: workspace.counts() == {"ready": 1})
    (workspace.root / "state.db").unlink()
    told = workspace.program("run", status=2)
    workspace.program("recover")
    (workspace.inbox / "PAUSE").unlink()
    assert workspace.run_once()
    return told


def with_a_duplicate(workspace: Workspace) -> str:
    for name in ("first.jpg", "second.jpg"):
        (workspace.inbox / name).write_bytes(sample("beach.jpg"))
        (workspace.inbox / name).with_suffix(".yaml").write_text("prompt: waves\n")
    assert not workspace.run_once()
    (told,) = workspace.errors.glob("*.error.txt")
    assert "sorawatch retry --another" in told.read_text()
    return told.read_text()


def with_its_ledger_in_the_way(workspace: Workspace) -> str:
    workspace.run_once()
    (workspace.root / "state.db.ledger").rename(workspace.root / "aside")
    (workspace.root / "state.db.ledger").mkdir()
    with pytest.raises(Blocked):
        workspace.run_once()
    (workspace.root / "state.db.ledger").rmdir()
    with workspace.running():
        (workspace.root / "state.db.ledger").unlink()
        (workspace.root / "state.db.ledger").mkdir()
        workspace.drop("beach.jpg")
        told = wait_until(lambda: told if "the ledger" in (told := workspace.told()) else None)
        (workspace.root / "state.db.ledger").rmdir()
        wait_until(lambda: len(workspace.files("outbox")) == 1)
    return told


TROUBLES: dict[str, Callable[[Workspace], str]] = {
    "nothing is submitted: the server refuses the API key": with_a_wrong_key,
    "nothing is submitted for the model …: the server does not offer the model": with_a_model_that_the_server_has_not,
    "the answers to … orders were lost": with_every_answer_lost,
    "3 different pictures were refused in the same words": with_a_wrong_setting,
    "nothing is submitted: limits.usd_per_day … is reached": with_a_small_budget,
    "has lost its file .sorawatch": with_a_share_that_is_gone,
    "a batch waits for approval": with_a_big_batch,
    State.HELD.value: with_a_lost_answer,
    "another sorawatch (pid …) already works on …": with_a_second_daemon,
    "the inbox … belongs to the state … of another sorawatch": with_an_inbox_of_another_state,
    "it is the same order as job …": with_a_duplicate,
    "the state file … is missing or empty": with_its_state_lost,
    "the ledger cannot be written": with_its_ledger_in_the_way,
}


class TestTroubles:
    def test_all_that_are_quoted_are_tried(self) -> None:
        assert [words for row in table("When something is wrong") for words in quoted(row[0])] == list(TROUBLES)

    @pytest.mark.parametrize("words", TROUBLES)
    def test_a_person_reads_it(self, words: str, workspace: Workspace) -> None:
        told = " ".join(TROUBLES[words](workspace).split())
        assert re.search(re.escape(words).replace("…", ".+"), told), told

    def test_status_says_what_each_picture_waits_for(self, tmp_path: Path) -> None:
        with simulator.running(SimulatorSettings(generation_seconds=float("inf"), frames_per_second=1)) as server:
            workspace = Workspace(tmp_path, server)
            workspace.set("limits", in_flight=1)
            workspace.drop("first.jpg")
            workspace.drop("second.jpg")
            workspace.drop("alone.jpg", prompt="")
            with workspace.running():
                wait_until(lambda: workspace.counts() == {"rendering": 1, "ready": 1})
                wait_until(lambda: "alone.jpg" in (told := workspace.told()) and "sidecar" in told)
                assert "limits.in_flight: 1 of 1 places in flight are taken" in workspace.cli("status")


class Machine:
    """This machine in a mount namespace: what is written there below /etc, /opt, /srv and /var vanishes with it."""

    LAYERS = """
        mount -t tmpfs tmpfs "$1" && for folder in etc opt srv var; do
            mkdir "$1/$folder" "$1/$folder.work" && mount -t overlay overlay "/$folder" \
                -o "lowerdir=/$folder,upperdir=$1/$folder,workdir=$1/$folder.work" || exit
        done && echo ready && exec cat
    """
    PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    """Root's own; a Python elsewhere may not be open to the user of a service."""

    def __init__(self, holder: subprocess.Popen[str]) -> None:
        self._holder = holder

    @classmethod
    @contextmanager
    def opened(cls, scratch: Path) -> Iterator[Machine]:
        if os.geteuid() != 0 or not shutil.which("unshare"):
            pytest.skip("only root can lay a file system of its own over this one, with unshare")
        suits = "import ensurepip, sys; sys.exit(sys.version_info < (3, 11))"
        if subprocess.run(
            ["python3", "-c", suits], env={"PATH": cls.PATH}, capture_output=True, check=False
        ).returncode:
            pytest.skip("the system's own Python is too old, or its venv module is not installed")
        scratch.mkdir()
        command = ["unshare", "--mount", "--propagation=private", "sh", "-c", cls.LAYERS, "sh", str(scratch)]
        pipes: dict[str, Any] = {
            "stdin": subprocess.PIPE,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.STDOUT,
            "text": True,
        }
        with subprocess.Popen(command, **pipes) as holder:
            assert holder.stdout is not None
            if (told := holder.stdout.readline()) != "ready\n":
                pytest.skip(f"no mount namespace with overlays is to be had here: {told}")
            yield cls(holder)
            holder.communicate()

    def path(self, path: str) -> Path:
        return Path(f"/proc/{self._holder.pid}/root{path}")

    def spawn(self, *command: str, **options: Any) -> subprocess.Popen[bytes]:
        enter = ["nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt", "--", *command]
        return subprocess.Popen(enter, **{"env": environment(PATH=self.PATH), **options})

    def run(self, *command: str, data: bytes = b"", **options: Any) -> bytes:
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        with self.spawn(*command, **{**pipes, **options}) as process:
            told, _ = process.communicate(data)
            assert process.returncode == 0, told.decode()
            return told


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with Machine.opened(tmp_path / "layers") as opened:
        yield opened


SYSTEMCTL = """#!/bin/sh
[ "$1" = show ] || echo "$@" >> {asked}
[ "$1" != show ] || printf '%s\\n' LoadState=loaded NeedDaemonReload=no ActiveState=active UnitFileState=enabled StatusText=
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_as_a_service(tmp_path: Path, machine: Machine) -> None:
    """The blocks as root, all of it real but ``systemctl``; between them what systemd does with the unit, by hand."""
    if not shutil.which("systemd-sysusers"):
        pytest.skip("systemd is not installed")
    install, later = blocks("sh", "As a service")
    passwords = Path("/etc/passwd").read_bytes()
    recorder = tmp_path / "bin/systemctl"
    recorder.parent.mkdir()
    recorder.write_text(SYSTEMCTL.format(asked=tmp_path / "asked"))
    recorder.chmod(0o755)
    path = f"{recorder.parent}:{Machine.PATH}"
    here = clone(tmp_path / "sorawatch")
    told = machine.run("sh", "-ec", f"cd {here}\n{install}", env=environment(PATH=path))
    assert b"ready to run" in told
    asked = "daemon-reload\nenable sorawatch\nrestart sorawatch\n"
    assert (tmp_path / "asked").read_text() == asked

    unit = "/etc/systemd/system/sorawatch.service"
    if shutil.which("systemd-analyze"):
        assert b"sorawatch" not in machine.run("systemd-analyze", "verify", "--man=no", unit)
    parser = RawConfigParser(strict=False)
    parser.read_string(machine.path(unit).read_text())
    service = parser["Service"]
    user, group = service["User"], service["Group"]
    assert machine.path("/etc/sorawatch/api.key").stat().st_mode & 0o777 == 0o600
    machine.run("install", "-d", "-o", user, "-g", group, "-m", service["StateDirectoryMode"], "/var/lib/sorawatch")
    name, key = service["LoadCredential"].split(":")
    machine.run("install", "-d", "/var/credentials")
    machine.run("install", "-o", user, "-m", "400", key, f"/var/credentials/{name}")
    daemon = [
        "setpriv",
        f"--reuid={user}",
        f"--regid={group}",
        "--init-groups",
        "--no-new-privs",
        "--bounding-set=-all",
    ]
    visitor = ["setpriv", "--reuid=65534", "--regid=65534", f"--groups={group}"]
    start = f"umask {service['UMask']}; exec {service['ExecStart']}"

    with simulator.running(SimulatorSettings(key="sk-your-key", generation_seconds=0.1, frames_per_second=1)) as server:
        variables = environment(
            PATH=Machine.PATH, CREDENTIALS_DIRECTORY="/var/credentials", SORAWATCH_API__BASE_URL=server.url
        )
        srv = machine.path("/srv/sorawatch")
        with machine.spawn(*daemon, "sh", "-c", start, env=variables) as running:
            try:
                wait_until(lambda: (srv / "inbox/.sorawatch").exists() or running.poll() is not None)
                inbox = "/srv/sorawatch/inbox"
                machine.run(*visitor, "sh", "-c", f"cat > {inbox}/beach.jpg", data=sample("beach.jpg"))
                machine.run(*visitor, "sh", "-c", f"echo prompt: Gentle waves > {inbox}/beach.yaml")
                wait_until(lambda: (srv / "processed/beach.yaml").exists() or running.poll() is not None)
            finally:
                running.terminate()
            assert running.wait(int(service["TimeoutStopSec"])) == 0
        assert server.ledger().creates == 1
    (tmp_path / "beach.mp4").write_bytes(machine.run(*visitor, "cat", "/srv/sorawatch/outbox/beach.mp4"))
    assert clip(tmp_path / "beach.mp4") == (1280, 720, 8)
    assert (srv / "processed/beach.jpg").read_bytes() == sample("beach.jpg")
    assert b"beach.mp4" in machine.run("/opt/sorawatch/bin/sorawatch", "status")

    machine.run("install", "-d", "/var/backups")
    machine.run("sh", "-ec", f"cd {here}\n{later}", env=environment(PATH=path))
    stop, start = "stop sorawatch\n", "start sorawatch\n"
    end = "disable --now sorawatch\ndaemon-reload\n"
    assert (tmp_path / "asked").read_text() == asked + stop + start + asked + end
    assert machine.path("/var/backups/sorawatch/state.db").is_file()
    assert not machine.path(unit).exists()
    assert Path("/etc/passwd").read_bytes() == passwords
