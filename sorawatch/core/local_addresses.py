"""Recognizes addresses and host names that lead to this machine, or only to its own network segment."""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

_NAT64 = IPv6Network("64:ff9b::/96")
_IPV4_COMPATIBLE = IPv6Network("::/96")


class Reach(StrEnum):
    """How far an address reaches that is not for the network."""

    LOOPBACK = "loopback"
    LINK_LOCAL = "link-local"


def reach_of(address: str) -> Reach | None:
    """The reach of a numeric address, as the system's resolver returns it; None for all other addresses.

    Addresses of the network 0.0.0.0/8, and ``::``, connect to this machine. An IPv4 address within an IPv6 address
    counts as itself.

    Raises:
        ValueError: if it is not a numeric address.
    """
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address):
        ip = _embedded(ip) or ip
    if ip.is_loopback or ip.is_unspecified or (isinstance(ip, IPv4Address) and ip.packed[0] == 0):
        return Reach.LOOPBACK
    return Reach.LINK_LOCAL if ip.is_link_local else None


def is_loopback_host(host: str) -> bool:
    """Whether a host, as written in a URL, is this machine for certain: by its address, or as ``localhost``."""
    name = host.strip("[]").rstrip(".").casefold()
    try:
        return reach_of(name) is Reach.LOOPBACK
    except ValueError:
        # RFC 6761 reserves the whole domain.
        return name == "localhost" or name.endswith(".localhost")


def _embedded(ip: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 address contains."""
    if ip in _NAT64 or (ip in _IPV4_COMPATIBLE and int(ip) > 1):
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour
