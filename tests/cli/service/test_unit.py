"""The units that are shipped, and those written for a configuration, as systemd judges them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sorawatch import config
from sorawatch.cli.service import described, install, removal
from sorawatch.cli.service.account import ENTER, READ, WRITE, Account
from sorawatch.cli.service.unit import File, InstallPlan, Places, folders_to_make, unit, writable_folders
from sorawatch.config import Config
from sorawatch.errors import UsageError
from tests.support.paths import ROOT

UNITS = ROOT / "systemd"
SHIPPED = {name: (UNITS / name).read_text() for name in ("sorawatch.service", "sorawatch@.service")}
EXAMPLES = sorted((UNITS / "examples").glob("*.conf"))


def loaded(folder: Path, text: str = "") -> Config:
    (folder / "config.yaml").write_text(text or "folders: {inbox: in, outbox: out, errors: err, processed: old}")
    return config.load(folder / "config.yaml", {})


def analyze(*arguments: object) -> subprocess.CompletedProcess[str]:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed (package systemd)")
    command = ["systemd-analyze", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def judged(folder: Path, name: str, text: str, threshold: int = 12) -> None:
    """Fails unless systemd finds nothing wrong with a unit, and little exposed."""
    path = folder / name.replace("@.", "@kitchen.")
    path.write_text(text.replace("/opt/sorawatch/bin/sorawatch", sys.executable))
    verified = analyze("verify", "--man=no", path)
    assert [line for line in verified.stderr.splitlines() if "sorawatch" in line] == []
    secured = analyze("security", "--offline=true", f"--threshold={threshold}", path)
    assert secured.returncode == 0, secured.stdout


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_unit_is_clean_and_hardened(tmp_path: Path, name: str) -> None:
    judged(tmp_path, name, SHIPPED[name])


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_with_a_drop_in_it_still_is(tmp_path: Path, example: Path) -> None:
    (tmp_path / "sorawatch.service.d").mkdir()
    shutil.copy(example, tmp_path / "sorawatch.service.d")
    judged(tmp_path, "sorawatch.service", SHIPPED["sorawatch.service"], threshold=13)


def test_a_unit_for_a_configuration_is_clean_and_hardened(tmp_path: Path) -> None:
    found = loaded(tmp_path)
    places = Places("kitchen")
    text = unit(found, places, "cook", writable_folders(found, places))
    for line in (
        f"ExecStart={sys.prefix}/bin/sorawatch run --config {tmp_path}/config.yaml",
        "User=cook",
        "StateDirectory=kitchen",
        f"ReadWritePaths=-{tmp_path} -/var/lib/sorawatch",
        "LoadCredential=api-key:/etc/sorawatch/kitchen.key",
        "ProtectHome=yes",
    ):
        assert line in text.splitlines()
    judged(tmp_path, "kitchen.service", text)


def test_the_two_units_differ_in_the_instance_alone() -> None:
    def settings(name: str) -> list[str]:
        lines = SHIPPED[name].replace("/%i", "").replace(" for %i", "").splitlines()
        return [line for line in lines if line and not line.startswith(("#", "Exec", "LoadCredential"))]

    assert settings("sorawatch@.service") == settings("sorawatch.service")


def test_folders_far_apart_are_named_one_by_one(tmp_path: Path) -> None:
    apart = "{inbox: /srv/in, outbox: /mnt/out, errors: /srv/bad, processed: /srv/old}"
    found = loaded(
        tmp_path, f"folders: {apart}\nstate: /var/lib/sorawatch/state.db\nlogging: {{file: /var/log/x/y.log}}"
    )
    roots = writable_folders(found, Places("sorawatch"))
    assert [*map(str, roots)] == ["/srv/in", "/mnt/out", "/srv/bad", "/srv/old", "/var/log/x"]


def test_a_home_is_opened_for_those_who_live_there_and_odd_paths_are_quoted(tmp_path: Path) -> None:
    home = "{inbox: /home/anna/100% new/in, outbox: /home/anna/100% new/out, errors: /home/anna/100% new/e, "
    found = loaded(tmp_path, f"folders: {home}processed: /home/anna/100% new/p}}")
    text = unit(found, Places("sorawatch"), "sorawatch", writable_folders(found, Places("sorawatch")))
    assert "ProtectHome=read-only" in text
    assert 'ReadWritePaths="-/home/anna/100%% new"' in text
    judged(tmp_path, "sorawatch.service", text)


def test_a_dollar_begins_a_variable_in_a_command_line_alone(tmp_path: Path) -> None:
    (tmp_path / "5$HOME").mkdir()
    found = loaded(tmp_path / "5$HOME")
    text = unit(found, Places("sorawatch"), "sorawatch", writable_folders(found, Places("sorawatch")))
    assert f"--config {tmp_path}/5$$HOME/config.yaml\n" in text
    assert f"ReadWritePaths=-{tmp_path}/5$HOME\n" in text


def test_the_folder_of_a_log_is_made_too(tmp_path: Path) -> None:
    places = Places("sorawatch")
    for log, more in (
        ("log/new/x.log", [tmp_path / "log", tmp_path / "log/new"]),
        ("/var/lib/sorawatch/log/x.log", []),
        ("x.log", []),
    ):
        text = "folders: {inbox: in, outbox: out, errors: err, processed: old}"
        found = loaded(tmp_path, f"{text}\nlogging: {{file: {log}}}")
        roots = writable_folders(found, places)
        assert folders_to_make(found, places, roots) == [*roots, *more]


def test_what_no_unit_can_name_is_refused(tmp_path: Path) -> None:
    for name in (b"caf\xe9", b"two\nlines"):
        folder = tmp_path / os.fsdecode(name)
        folder.mkdir()
        with pytest.raises(UsageError, match="cannot be named in a unit"):
            install(loaded(folder), {"SORAWATCH_API_KEY": "sk-1"}, "sorawatch", "sorawatch")


def test_services_of_others_are_left_alone(tmp_path: Path) -> None:
    if not Path("/usr/lib/systemd/system/systemd-journald.service").exists():
        pytest.skip("there is no other service here")
    with pytest.raises(UsageError, match="another program's service"):
        removal("systemd-journald")
    with pytest.raises(UsageError, match="another program's service"):
        install(loaded(tmp_path), {}, "systemd-journald", "sorawatch")
    with pytest.raises(UsageError, match=r"--name is '\.\./x'"):
        removal("../x")


def test_what_keeps_a_user_out_is_found_wherever_it_is(tmp_path: Path) -> None:
    folder, file = tmp_path / "open/closed/inbox", tmp_path / "open/key"
    folder.mkdir(parents=True)
    file.write_text("")
    owner, stranger = os.geteuid(), Account("stranger", 65_432, frozenset())
    for path, mode in ((tmp_path / "open", 0o755), (folder.parent, 0o770), (folder, 0o777), (file, 0o604)):
        path.chmod(mode)
    assert stranger.obstacle(folder, WRITE | ENTER, [tmp_path / "open"]) == (folder.parent, ENTER)
    assert stranger.obstacle(folder, WRITE | ENTER, [folder]) is None
    assert stranger.obstacle(file, READ, [tmp_path / "open"]) is None
    assert stranger.obstacle(tmp_path / "open/new/inbox", WRITE | ENTER, [tmp_path / "open"]) == (
        tmp_path / "open",
        WRITE | ENTER,
    )
    assert Account("owner", owner, frozenset()).obstacle(tmp_path / "open/new", WRITE | ENTER) is None


def test_a_key_file_of_the_configuration_needs_no_credential(tmp_path: Path) -> None:
    found = loaded(tmp_path, "api: {key_file: api.key}")
    assert "LoadCredential" not in unit(found, Places("sorawatch"), "sorawatch", ())


def test_a_configuration_where_no_service_can_read_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="may not enter"):
        install(loaded(tmp_path), {"SORAWATCH_API_KEY": "sk-1"}, "sorawatch", "sorawatch")
    with pytest.raises(UsageError, match="--user is 'Anna B'"):
        install(loaded(tmp_path), {}, "sorawatch", "Anna B")


def test_a_dry_run_shows_all_but_the_key() -> None:
    told = described(
        InstallPlan((File(Path("/etc/x"), "sk-secret", 0o600, secret=True),), (("systemctl", "enable", "x"),))
    )
    assert told == "# /etc/x, mode 0600\n(the API key)\n\n# systemctl enable x"
    assert "disable --now kitchen" in described(removal("kitchen"))
