"""Which addresses of the network are fetched from: public ones, and hosts that are named.

The server fetches what a visitor names. Left alone, it would do so from its own computer and from
the network around it, which the visitor may not reach.
"""

import ipaddress
import os
import socket

NAT64 = ipaddress.ip_network("64:ff9b::/96")
REFUSAL = (
    "its name leads to no public address; hosts of the own network are asked only where "
    "GENECANVAS_PRIVATE_HOSTS names them"
)
"""Said of a name that is not known too, so that nobody learns which names and ports there are."""


def connect(
    address: tuple[str, int], timeout: float | None = None, source: tuple[str, int] | None = None
) -> socket.socket:
    """A connection to a host, as `socket.create_connection` makes one, if it may be asked.

    The name is looked up once: what was checked is what is connected to.

    Raises:
        OSError: the host has no address that may be asked, or none of these answers.
    """
    failed = OSError(REFUSAL)
    for place in _look_up(*address):
        if _is_named(*address) or is_public(place):
            try:
                return socket.create_connection((place, address[1]), timeout, source)
            except OSError as error:
                failed = error
    raise failed


def leads_inside(host: str, port: int) -> bool:
    """Whether a name is known here to lead to an address that may not be asked."""
    return not _is_named(host, port) and not all(map(is_public, _look_up(host, port)))


def _is_named(host: str, port: int) -> bool:
    """Whether GENECANVAS_PRIVATE_HOSTS holds `host` or `host:port`; commas divide them."""
    named = os.environ.get("GENECANVAS_PRIVATE_HOSTS", "").lower().replace(" ", "").split(",")
    return not {host.lower(), f"{host.lower()}:{port}"}.isdisjoint(named)


def _look_up(host: str, port: int) -> list[str]:
    """The addresses of a host; none of a name that isn't known."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [str(place[0]) for *_, place in found]


def is_public(address: str) -> bool:
    """Whether an IP address is one of the internet at large, whatever it is wrapped in."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if ip.is_site_local:
            return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved)
