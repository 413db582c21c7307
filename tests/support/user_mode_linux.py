"""A Linux kernel of its own, as a process, that knows NFS and CIFS where the kernel of this machine does not.

Its root is that of this machine, read-only. In it, a file server exports one folder of its own disk by NFS and by SMB,
and mounts it again by both.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

MODULES = Path("/usr/lib/uml/modules")
TOOLS = ("linux.uml", "modprobe", "mkfs.ext4", "rpcbind", "exportfs", "rpc.nfsd", "mount.nfs4", "smbd", "mount.cifs")
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
DISK = Path("/mnt/disk/share")
"""The exported folder on the server's own disk, in the guest."""
MOUNTS = {"nfs": Path("/mnt/nfs"), "cifs": Path("/mnt/cifs")}
"""Where it is mounted, in the guest."""

_SMB = """
[global]
server role = standalone server
map to guest = bad user
guest account = root
interfaces = lo
bind interfaces only = yes
disable netbios = yes
load printers = no
private dir = /mnt/samba
lock directory = /mnt/samba
state directory = /mnt/samba
cache directory = /mnt/samba
pid directory = /mnt/samba
ncalrpc dir = /mnt/samba/ncalrpc
log file = /mnt/samba/log
[share]
path = /mnt/disk/share
guest ok = yes
read only = no
"""

_MODPROBE = '#!/bin/sh\nexec modprobe -d /run/kernel "$@"\n'
"""Finds the modules where Debian keeps those of this kernel."""

_INIT = """#!/bin/sh
export PATH={path} PYTHONPATH={here}
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs none /run
mount -t tmpfs none /mnt
export TMPDIR=/mnt
mount -t tmpfs none /dev/shm
mkdir /mnt/result && mount -t hostfs none /mnt/result -o {folder}
run() {{
  set -e
  mkdir -p /run/kernel/lib && ln -s {modules} /run/kernel/lib/modules
  cp /mnt/result/modprobe /run/modprobe && echo /run/modprobe > /proc/sys/kernel/modprobe
  for name in nfsd nfsv4 cifs loop; do /run/modprobe $name; done
  hostname guest
  ip link set lo up
  for folder in /var/lib/nfs /var/log /var/cache; do mount -t tmpfs none $folder; done
  mkdir -p /mnt/samba/ncalrpc /mnt/disk /mnt/nfs /mnt/cifs /var/log/samba /var/lib/nfs/v4recovery
  touch /var/lib/nfs/etab /var/lib/nfs/rmtab
  truncate -s 256M /mnt/disk.img
  mkfs.ext4 -q /mnt/disk.img
  mount -o loop /mnt/disk.img /mnt/disk
  mkdir -m 777 /mnt/disk/share
  mount -t nfsd nfsd /proc/fs/nfsd
  rpcbind -w
  exportfs -o rw,no_root_squash,fsid=0,insecure,no_subtree_check 127.0.0.1:/mnt/disk
  rpc.mountd -N 2 2> /dev/null
  rpc.nfsd 4
  # Otherwise files are opened only after the time in which clients may reclaim their locks.
  echo Y > /proc/fs/nfsd/v4_end_grace
  mount -t nfs4 127.0.0.1:/share /mnt/nfs
  smbd -D -s /mnt/result/smb.conf
  until mount -t cifs -o guest,uid=0,vers=3.1.1 //127.0.0.1/share /mnt/cifs 2> /dev/null; do sleep 0.2; done
  cd {here}
  {command}
}}
( run ) > /mnt/result/output 2>&1
echo $? > /mnt/result/status
sync
poweroff -f
"""


def run_in_guest(command: Sequence[str | Path], folder: Path, timeout: float) -> subprocess.CompletedProcess[str]:
    """Run a command in a guest.

    Args:
        folder: an empty one of this machine's, for what the guest tells.
        timeout: seconds after which the guest is ended.
    """
    path = f"{PATH}:{os.environ['PATH']}"
    missing = [tool for tool in TOOLS if shutil.which(tool, path=path) is None]
    if os.geteuid() != 0 or missing or not MODULES.is_dir():
        pytest.skip(f"needs root and {', '.join(missing) or str(MODULES)}")
    init = folder / "init"
    words = " ".join(shlex.quote(str(word)) for word in command)
    init.write_text(_INIT.format(path=PATH, folder=folder, modules=MODULES, here=Path.cwd(), command=words))
    init.chmod(0o755)
    modprobe = folder / "modprobe"
    modprobe.write_text(_MODPROBE)
    modprobe.chmod(0o755)
    (folder / "smb.conf").write_text(_SMB)
    kernel = ["linux.uml", "mem=1536M", "quiet", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro"]
    kernel += [f"init={init}", f"uml_dir={folder}", "con=null", "con0=null,fd:1"]
    told = subprocess.run(
        kernel, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False
    )
    output, status = folder / "output", folder / "status"
    if not status.exists():
        pytest.fail(f"the guest ended early: {told.stdout}\n{output.read_text() if output.exists() else ''}")
    return subprocess.CompletedProcess(words, int(status.read_text()), output.read_text())
