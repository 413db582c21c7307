"""Which addresses and host names count as local."""

from __future__ import annotations

import pytest

from sorawatch.core.local_addresses import Reach, is_loopback_host, reach_of


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.9.10",
        "0.0.0.0",
        "0.1.2.3",
        "::1",
        "::",
        "::ffff:127.0.0.1",
        "::ffff:0.0.0.0",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ],
)
def test_addresses_of_this_machine(address: str) -> None:
    assert reach_of(address) is Reach.LOOPBACK


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "fe80::1", "fe80::1%eth0", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe"]
)
def test_addresses_of_the_network_segment(address: str) -> None:
    assert reach_of(address) is Reach.LINK_LOCAL


@pytest.mark.parametrize(
    "address", ["192.168.1.5", "10.0.0.1", "93.184.215.14", "2606:2800::1", "fd00::1", "128.0.0.1"]
)
def test_other_addresses(address: str) -> None:
    assert reach_of(address) is None


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("api.localhost", True),
        ("127.0.0.1", True),
        ("[::1]", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", True),
        ("169.254.169.254", False),
        ("localhost.example", False),
        ("notlocalhost", False),
        ("gpu", False),
        ("", False),
    ],
)
def test_hosts_that_are_this_machine_for_certain(host: str, is_loopback: bool) -> None:
    assert is_loopback_host(host) is is_loopback
