"""What kind of file system a path is on, by what the kernel says of its mounts."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sorawatch.edges.mounts import file_system_of, is_layered, is_network, mounts_at, resolved

MOUNTS = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:21 / /proc rw,nosuid - proc proc rw
40 22 0:40 / /mnt rw - tmpfs tmpfs rw
41 40 0:41 / /mnt/nas rw,relatime shared:20 master:2 - nfs4 server:/export rw,vers=4.2
42 41 0:42 /sub /mnt/nas/local rw - xfs /dev/sdb1 rw
43 22 0:43 / /mnt/my\040share\134x rw - cifs //nas/share rw
44 22 0:44 / /mnt/twice rw - ext4 /dev/sdc1 rw
45 44 0:45 / /mnt/twice rw - fuse.sshfs host: rw
46 22 0:46 / /mnt/ümlaut rw - btrfs /dev/sdd rw
a line of another kernel
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/srv/inbox", "ext4"),
        ("/mnt", "tmpfs"),
        ("/mnt/nas", "nfs4"),
        ("/mnt/nas/inbox/deep", "nfs4"),
        ("/mnt/nasty", "tmpfs"),
        ("/mnt/nas/local/inbox", "xfs"),
        ("/mnt/my share\\x/inbox", "cifs"),
        ("/mnt/twice/inbox", "fuse.sshfs"),
        ("/mnt/ümlaut/inbox", "btrfs"),
        ("/mnt/nas/local/../inbox", "nfs4"),
    ],
)
def test_the_nearest_mount_above_a_path_says_its_kind(path: str, kind: str) -> None:
    assert file_system_of(Path(path), MOUNTS) == kind


def test_without_mounts_the_kind_is_unknown() -> None:
    assert file_system_of(Path("/srv"), "") == ""


def test_links_are_resolved(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/mnt/nas")
    assert file_system_of(tmp_path / "link" / "inbox", MOUNTS) == "nfs4"


def test_this_machine(tmp_path: Path, other_disk: Path) -> None:
    assert file_system_of(Path("/proc/self")) == "proc"
    kinds = {file_system_of(tmp_path), file_system_of(other_disk / "not" / "there")}
    assert "tmpfs" in kinds
    assert "" not in kinds


def test_a_mount_of_our_own(mount: Callable[[str], Path]) -> None:
    assert file_system_of(mount("size=1m") / "inbox") == "tmpfs"


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "virtiofs", "ceph", "glusterfs", "afs"])
def test_network(kind: str) -> None:
    assert is_network(kind)


@pytest.mark.parametrize("kind", ["fuse", "fuse.sshfs", "fuse.rclone", "fuse.ntfs-3gs", "autofs", "vboxsf", "ocfs2"])
def test_remote_all_the_same(kind: str) -> None:
    assert is_network(kind)


@pytest.mark.parametrize(
    "kind", ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "vfat", "fuseblk", "fuse.ntfs-3g", "fusectl", "nfsd", ""]
)
def test_local(kind: str) -> None:
    assert not is_network(kind)


def test_what_is_mounted_below_a_path() -> None:
    assert [(mount.point, mount.kind) for mount in mounts_at(Path("/mnt"), MOUNTS)] == [
        ("/mnt", "tmpfs"),
        ("/mnt/nas", "nfs4"),
        ("/mnt/nas/local", "xfs"),
        ("/mnt/my share\\x", "cifs"),
        ("/mnt/twice", "fuse.sshfs"),
        ("/mnt/ümlaut", "btrfs"),
    ]
    assert [mount.number for mount in mounts_at(Path("/mnt/nas"), MOUNTS)] == ["41", "42"]
    assert [mount.number for mount in mounts_at(Path("/mnt/nas/loc"), MOUNTS)] == ["41"]


def test_layers() -> None:
    assert is_layered("overlay")
    assert not is_layered("ext4")


def test_a_path_is_resolved_as_the_system_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real" / "up").symlink_to("../link/deep")
    (tmp_path / "absolute").symlink_to(tmp_path / "link")
    (tmp_path / "circle").symlink_to("circle")
    monkeypatch.chdir(tmp_path)
    for path in ("link", "link/up", "absolute/up/missing/x", "real/up/../..", "nowhere/at/all", "/", "link/.", "//tmp"):
        assert resolved(Path(path)) == os.path.realpath(path), path
    assert resolved(Path("circle/x")).endswith("circle/x")


def test_a_path_on_a_share_is_resolved_up_to_the_share(tmp_path: Path) -> None:
    share = tmp_path / "share"
    share.mkdir()
    (share / "link").symlink_to("/etc")
    (tmp_path / "way").symlink_to(share)
    mountinfo = f"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
41 22 0:41 / {share} rw,relatime - nfs4 server:/export rw
"""
    assert resolved(tmp_path / "way" / "link" / "x", mountinfo) == str(share / "link" / "x")
    assert resolved(tmp_path / "way", mountinfo) == str(share)
