"""Servers and sync tools that bring files into an inbox, on loopback and with the rights of the tests."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.workspace import wait_until

SMB_CONF = """
[global]
  server role = standalone server
  map to guest = Bad User
  guest account = root
  smb ports = {port}
  interfaces = lo
  bind interfaces only = yes
  private dir = {own}
  lock directory = {own}
  state directory = {own}
  cache directory = {own}
  pid directory = {own}
  ncalrpc dir = {own}/ncalrpc
  log file = {own}/log
  disable spoolss = yes
  load printers = no
[inbox]
  path = {folder}
  read only = no
  guest ok = yes
  force user = root
"""

VSFTPD_CONF = """
background=NO
listen=YES
listen_address=127.0.0.1
listen_port={port}
anonymous_enable=YES
no_anon_password=YES
anon_root={folder}
anon_upload_enable=YES
anon_other_write_enable=YES
anon_world_readable_only=NO
anon_umask=022
write_enable=YES
run_as_launching_user=YES
seccomp_sandbox=NO
secure_chroot_dir={own}
vsftpd_log_file={own}/log
"""

SYNCTHING_CONF = """
<configuration version="36">
  <folder id="pictures" path="{folder}" fsWatcherEnabled="true" fsWatcherDelayS="1" rescanIntervalS="3600">
    {devices}
    <versioning type="simple"><param key="keep" val="5"/></versioning>
  </folder>
  {devices}
  <gui enabled="true"><address>127.0.0.1:{gui_port}</address></gui>
  <options>
    <listenAddress>tcp://127.0.0.1:{port}</listenAddress>
    <globalAnnounceEnabled>false</globalAnnounceEnabled>
    <localAnnounceEnabled>false</localAnnounceEnabled>
    <relaysEnabled>false</relaysEnabled>
    <natEnabled>false</natEnabled>
    <reconnectionIntervalS>5</reconnectionIntervalS>
    <startBrowser>false</startBrowser>
    <urAccepted>-1</urAccepted>
    <crashReportingEnabled>false</crashReportingEnabled>
    <autoUpgradeIntervalH>0</autoUpgradeIntervalH>
    <stunServer></stunServer>
  </options>
</configuration>
"""
DEVICE_ID = re.compile(r"[A-Z2-7]{7}(?:-[A-Z2-7]{7}){7}")


def need(*tools: str) -> None:
    """Skip the test where one of these programs is missing, or the tests do not run as root."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"needs {' and '.join(missing)}")
    if os.geteuid() != 0:
        pytest.skip("only root may serve an inbox like this")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def _serving(command: Sequence[str | Path], port: int, log: Path) -> Iterator[None]:
    with open(log, "w") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        wait_until(lambda: _answers(port) or process.poll() is not None, told=log.read_text)
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.terminate()
        process.wait(20)


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextmanager
def samba(folder: Path, own: Path) -> Iterator[list[str]]:
    """smbd with the share ``inbox``. Yields the command that connects to it, without what it shall do there.

    Args:
        folder: what is shared.
        own: an empty folder for the server.
    """
    need("smbd", "smbclient")
    port, config = free_port(), own / "smb.conf"
    config.write_text(SMB_CONF.format(folder=folder, own=own, port=port))
    # It makes a process group of its own, which it ends as a whole.
    with _serving(["smbd", "--foreground", "-s", config], port, own / "smbd.out"):
        yield ["smbclient", "-s", str(config), "-N", "-p", str(port), "//127.0.0.1/inbox", "-c"]


@contextmanager
def vsftpd(folder: Path, own: Path) -> Iterator[str]:
    """vsftpd. Yields the URL of ``folder``."""
    need("vsftpd", "curl")
    port, config = free_port(), own / "vsftpd.conf"
    config.write_text(VSFTPD_CONF.format(folder=folder, own=own, port=port))
    with _serving(["vsftpd", config], port, own / "vsftpd.out"):
        yield f"ftp://127.0.0.1:{port}/"


@contextmanager
def syncthing(folders: Sequence[Path], own: Path) -> Iterator[None]:
    """An instance for each of the folders, which keeps them the same, with old versions in ``.stversions``."""
    need("syncthing")
    homes = [own / str(number) for number, _ in enumerate(folders)]
    ports = [(free_port(), free_port()) for _ in folders]
    devices = ""
    for home, (port, _) in zip(homes, ports, strict=True):
        command = ["syncthing", "generate", f"--home={home}"]
        made = subprocess.run(command, check=True, capture_output=True, text=True)
        found = DEVICE_ID.search(made.stdout + made.stderr)
        assert found is not None, made
        devices += f'<device id="{found[0]}"><address>tcp://127.0.0.1:{port}</address></device>\n'
    with _all_serving(homes, folders, ports, devices):
        yield


@contextmanager
def _all_serving(
    homes: Sequence[Path], folders: Sequence[Path], ports: Sequence[tuple[int, int]], devices: str
) -> Iterator[None]:
    if not homes:
        yield
        return
    (home, *other_homes), (folder, *other_folders), ((port, gui_port), *other_ports) = homes, folders, ports
    values = {"folder": folder, "port": port, "gui_port": gui_port, "devices": devices}
    (home / "config.xml").write_text(SYNCTHING_CONF.format(**values))
    command = ["syncthing", "serve", f"--home={home}", "--no-browser", "--no-restart", "--no-upgrade"]
    with _serving(command, port, home / "log"), _all_serving(other_homes, other_folders, other_ports, devices):
        yield
