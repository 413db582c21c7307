"""The service under a real systemd, installed by its own command from the built wheel; the simulator runs beside it."""

from __future__ import annotations

import grp
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from sorawatch import simulator
from sorawatch.core.log_fields import LogEvent
from sorawatch.simulator import Fault, SimulatorSettings
from tests.support import texts
from tests.support.confinement import available
from tests.support.paths import ROOT
from tests.support.systemd_container import Container, booted, installation
from tests.support.workspace import picture, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200), pytest.mark.xdist_group("service")]

KEY = "sk-for-the-service"
SRV = "/srv/sorawatch"
ODD = os.fsdecode(b"caf\xe9.jpg")


class Service:
    """The installed service, its folders and its server."""

    def __init__(self, container: Container, server: simulator.Simulator) -> None:
        self.container = container
        self.server = server
        self.srv = container.path(SRV)
        self.config: dict[str, Any] = {
            "folders": {name: f"{SRV}/{name}" for name in ("inbox", "outbox", "errors", "processed")},
            "api": {"base_url": server.url, "timeout_seconds": 60},
            # So that whatever is noticed sooner was noticed by an event.
            "watch": {"settle_seconds": 0.2, "rescan_seconds": 600},
            "polling": {"min_seconds": 0.1, "max_seconds": 0.3},
            "retries": {"first_seconds": 0.1, "max_seconds": 0.5},
            "limits": {"submits_per_minute": 60_000, "usd_per_day": 50},
        }

    def write_config(self, **sections: Any) -> None:
        text = yaml.safe_dump({**self.config, **sections})
        self.container.path("/etc/sorawatch/config.yaml").write_text(text)

    def drop(self, name: str) -> None:
        """As an administrator would, who need not know of groups."""
        path = self.srv / "inbox" / name
        path.with_suffix(".yaml").write_text(f"prompt: waves around {len(name)} rocks\n")
        number = sum(os.fsencode(name)) % 256
        picture(path, colour=(number, 255 - number, 90))

    def wait_for_clip(self, name: str) -> None:
        done = self.srv / "processed" / name
        wait_until(done.exists, timeout=60, told=self.container.log)

    def pid(self) -> int:
        return int(self.container.shown("MainPID"))

    def signal(self, number: signal.Signals) -> None:
        self.container.run("kill", f"-{number.value}", str(self.pid()))

    def restarts(self) -> int:
        return int(self.container.shown("NRestarts"))

    def override(self, **settings: str) -> None:
        """Put a drop-in of the section [Service] into force."""
        lines = "".join(f"{name}={value}\n" for name, value in settings.items())
        folder = self.container.path("/etc/systemd/system/sorawatch.service.d")
        folder.mkdir(exist_ok=True)
        (folder / "test.conf").write_text(f"[Service]\n{lines}")
        self.container.run("systemctl", "daemon-reload")
        self.restart()

    def restart(self) -> None:
        """Until it runs: in a container the control group of what has just ended may still be in the way of a start."""
        self.container.run("systemctl", "restart", "sorawatch", status=None)
        self.container.wait("SubState", "running")


@pytest.fixture(scope="module")
def server() -> Iterator[simulator.Simulator]:
    with simulator.running(SimulatorSettings(key=KEY, generation_seconds=float("inf"), frames_per_second=1)) as running:
        yield running


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, server: simulator.Simulator) -> Iterator[Service]:
    scratch = tmp_path_factory.mktemp("machine")
    made = installation(scratch)
    # In some versions the container itself forbids these, whatever the unit allows.
    allowed = "--system-call-filter=landlock_create_ruleset landlock_restrict_self seccomp"
    with booted(scratch, f"--bind-ro={made}:/opt/sorawatch", allowed) as container:
        installed = Service(container, server)
        container.path("/etc/sorawatch").mkdir()
        installed.write_config()
        container.path("/etc/sorawatch/api.key").write_text(KEY)
        container.run("/opt/sorawatch/bin/sorawatch", "service", "install")
        yield installed


@pytest.fixture(autouse=True)
def _undisturbed(server: simulator.Simulator) -> Iterator[None]:
    yield
    server.clear_faults()


def test_the_installed_service_is_ready_hardened_and_found_in_order(service: Service) -> None:
    container = service.container
    assert container.shown("ActiveState") == "active"
    assert "nothing to do, $0.00 of $50 today" in container.shown("StatusText")
    mode = container.path("/etc/sorawatch/api.key").stat().st_mode
    assert mode & 0o777 == 0o600
    told = container.run("/opt/sorawatch/bin/sorawatch", "check", "--service")
    assert texts.READY_TO_RUN in told
    assert "the service may write to all needed folders" in told
    as_root = container.run("/opt/sorawatch/bin/sorawatch", "check", status=1)
    assert texts.NO_KEY in as_root
    assert "For the service: sorawatch check --service" in as_root
    assert "state: active" in container.run("/opt/sorawatch/bin/sorawatch", "service", "status")
    score = container.run("systemd-analyze", "security", "--threshold=12", "sorawatch.service", status=None)
    assert "OK" in score.splitlines()[-1], score


def test_a_picture_goes_all_the_way_inside_the_sandbox(service: Service) -> None:
    """An event, the confined workers, the credential, the state, and moves from folder to folder."""
    creates = service.server.ledger().creates
    service.drop("beach.jpg")
    service.server.wait_for(lambda ledger: ledger.creates == creates + 1)
    service.container.wait("StatusText", "1 rendering")
    service.server.finish_all()
    service.wait_for_clip("beach.jpg")
    assert (service.srv / "outbox/beach.mp4").stat().st_size > 1000
    # What the workers can confine here, they can confine in the sandbox.
    assert f"the processes that read pictures and clips {available()}" in service.container.log()
    status = service.container.run("/opt/sorawatch/bin/sorawatch", "status", "-c", "/etc/sorawatch/config.yaml")
    assert "1 done" in status


def test_the_journal_has_every_change_with_its_fields(service: Service) -> None:
    service.drop(ODD)
    service.container.wait("StatusText", "1 rendering")
    service.server.finish_all()
    service.wait_for_clip(ODD)
    entries = service.container.journal("-u", "sorawatch")
    assert any("caf\\udce9.jpg [" in str(entry.get("MESSAGE")) for entry in entries)
    assert not any(KEY in str(entry) for entry in entries)
    if not any("SORAWATCH_EVENT" in entry for entry in entries):
        pytest.skip("without systemd-python (package python3-systemd) there are lines with priorities only")
    (delivered,) = (
        entry
        for entry in service.container.journal(f"MESSAGE_ID={LogEvent.DELIVERED.message_id}")
        if entry["SORAWATCH_FILE"] != "beach.jpg"
    )
    assert bytes(delivered["SORAWATCH_FILE"]) == os.fsencode(ODD)
    assert delivered["SORAWATCH_STATE"] == "delivered"
    assert delivered["SORAWATCH_VIDEO"]
    assert delivered["PRIORITY"] == "6"
    (again,) = service.container.journal(f"SORAWATCH_JOB={delivered['SORAWATCH_JOB']}", "SORAWATCH_EVENT=delivered")
    assert again == delivered


def test_reload_takes_over_what_can_change_and_refuses_what_is_wrong(service: Service) -> None:
    pid = service.pid()
    service.write_config(limits={**service.config["limits"], "usd_per_day": 70})
    service.container.run("systemctl", "reload", "sorawatch")
    service.container.wait("StatusText", "of $70 today")
    service.write_config(limits={"usd_per_day": -1})
    service.container.run("systemctl", "reload", "sorawatch")
    service.container.wait("StatusText", texts.NEW_CONFIGURATION_REFUSED)
    assert "of $70 today" in service.container.shown("StatusText")
    service.write_config()
    service.container.run("systemctl", "reload", "sorawatch")
    service.container.wait("StatusText", "of $50 today")
    assert "refused" not in service.container.shown("StatusText")
    assert service.pid() == pid


@pytest.mark.parametrize(
    ("number", "settings"),
    [(signal.SIGKILL, {}), (signal.SIGSTOP, {"WatchdogSec": "5"})],
    ids=["a crash", "a hung loop"],
)
def test_it_is_started_anew_and_orders_nothing_twice(
    service: Service, number: signal.Signals, settings: dict[str, str]
) -> None:
    service.override(RestartSec="1", **settings)
    creates, restarts = service.server.ledger().creates, service.restarts()
    name = f"after-{number.name.lower()}.jpg"
    service.drop(name)
    service.server.wait_for(lambda ledger: ledger.creates == creates + 1)
    service.container.wait("StatusText", "1 rendering")
    service.signal(number)
    wait_until(lambda: service.restarts() == restarts + 1, told=service.container.log)
    service.container.wait("ActiveState", "active")
    if number is signal.SIGSTOP:
        log = service.container.log()
        assert "Watchdog timeout" in log
        assert "most recent call first" in log
    service.server.finish_all()
    service.wait_for_clip(name)
    ledger = service.server.ledger()
    assert (ledger.creates, ledger.duplicates) == (creates + 1, 0)


def test_a_stop_waits_for_an_upload_longer_than_the_unit_allows(service: Service) -> None:
    service.override(TimeoutStopSec="3")
    creates = service.server.ledger().creates
    service.server.inject(Fault("delay_after", on="create", seconds=8))
    service.drop("upload.jpg")
    service.server.wait_for(lambda ledger: ledger.creates == creates + 1)
    service.container.run("systemctl", "stop", "sorawatch")
    assert service.container.shown("Result") == "success"
    service.restart()
    service.container.wait("StatusText", "1 rendering")
    service.server.finish_all()
    service.wait_for_clip("upload.jpg")
    assert service.server.ledger().creates == creates + 1


def test_a_bad_configuration_ends_it_with_78_and_it_is_not_started_again(service: Service) -> None:
    service.override(RestartSec="0")
    service.write_config(limits={"usd_per_day": -1})
    service.container.run("systemctl", "restart", "sorawatch", status=None)
    service.container.wait("ActiveState", "failed")
    assert service.container.shown("ExecMainStatus") == "78"
    assert service.restarts() == 0
    assert "limits.usd_per_day" in service.container.log()
    told = service.container.run("/opt/sorawatch/bin/sorawatch", "service", "status", status=1)
    assert "state: failed" in told
    service.write_config()
    service.restart()


def test_check_says_what_keeps_the_user_out_and_goes_by_drop_ins(service: Service) -> None:
    def told(status: int) -> str:
        return service.container.run("/opt/sorawatch/bin/sorawatch", "check", "--service", status=status)

    config = service.container.path("/etc/sorawatch/config.yaml")
    config.chmod(0o600)
    assert "the user sorawatch may not read /etc/sorawatch/config.yaml" in told(1)
    config.chmod(0o644)
    key = service.container.path("/etc/sorawatch/api.key")
    key.write_text("")
    assert "/etc/sorawatch/api.key: is empty" in told(1)
    key.write_text(KEY)
    inbox = service.srv / "inbox"
    owner = inbox.stat()
    os.chown(inbox, 0, grp.getgrnam("users").gr_gid)
    assert f"the user sorawatch may not write to {SRV}/inbox" in told(1)
    service.override(SupplementaryGroups="users")
    assert texts.READY_TO_RUN in told(0)
    os.chown(inbox, owner.st_uid, owner.st_gid)


def test_an_instance_of_its_own_with_an_encrypted_key(service: Service) -> None:
    container, kitchen = service.container, f"{SRV}/kitchen"
    unit = container.path("/etc/systemd/system/sorawatch@.service")
    unit.write_text((ROOT / "systemd/sorawatch@.service").read_text())
    folders = {name: f"{kitchen}/{name}" for name in service.config["folders"]}
    settings = {**service.config, "folders": folders, "state": "/var/lib/sorawatch/kitchen/state.db"}
    container.path("/etc/sorawatch/kitchen.yaml").write_text(yaml.safe_dump(settings))
    encrypted = "/etc/sorawatch/kitchen.key.cred"
    plain = "/etc/sorawatch/api.key"
    container.run("systemd-creds", "encrypt", "--with-key=host", "--name=api-key", plain, encrypted)
    drop_in = container.path("/etc/systemd/system/sorawatch@kitchen.service.d")
    drop_in.mkdir()
    credential = f"LoadCredential=\nLoadCredentialEncrypted=api-key:{encrypted}\n"
    (drop_in / "key.conf").write_text(f"[Service]\n{credential}")
    for name in ("sysusers", "tmpfiles"):
        shipped = container.path(f"/etc/{name}.d/sorawatch.conf")
        shipped.write_text((ROOT / f"systemd/{name}.d/sorawatch.conf").read_text())
    container.run("systemd-sysusers", "/etc/sysusers.d/sorawatch.conf")
    container.run("systemd-tmpfiles", "--create", "/etc/tmpfiles.d/sorawatch.conf")
    container.run("install", "-d", "-o", "sorawatch", "-g", "sorawatch", "-m", "2770", kitchen)
    container.run("systemctl", "daemon-reload")
    container.run("systemctl", "start", "sorawatch@kitchen")
    told = container.shown("StatusText", "sorawatch@kitchen")
    assert "nothing to do, $0.00 of $50 today" in told
    assert container.shown("ActiveState") == "active"
    check = ["check", "--service", "--name", "sorawatch@kitchen", "--config", "/etc/sorawatch/kitchen.yaml"]
    told = container.run("/opt/sorawatch/bin/sorawatch", *check, status=1)
    assert "the service may write to all needed folders" in told
    assert "does not start at boot" in told
    assert "1 thing to fix" in told
    container.run("systemctl", "stop", "sorawatch@kitchen")


def test_uninstall_leaves_what_people_need(service: Service) -> None:
    creates = service.server.ledger().creates
    service.drop("kept.jpg")
    service.server.wait_for(lambda ledger: ledger.creates == creates + 1)
    service.server.finish_all()
    service.wait_for_clip("kept.jpg")
    service.container.run("/opt/sorawatch/bin/sorawatch", "service", "uninstall")
    assert service.container.shown("LoadState") == "not-found"
    for path in ("/var/lib/sorawatch/state.db", "/etc/sorawatch/api.key", f"{SRV}/outbox/kept.mp4"):
        assert service.container.path(path).exists()
