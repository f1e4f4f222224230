"""Which addresses a visitor can make the server ask: none of its own network, however written."""

import pytest

from core.addresses import connect, is_public, leads_inside

INSIDE = [
    "127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "100.127.255.254", "192.0.0.1", "198.18.0.1", "224.0.0.1", "239.1.1.1",
    "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1",
    "fec0::1", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1",
    "2002:7f00:1::", "2002:a00:1::", "64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1",
    "2001:0:7f00:1::1",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "100.63.255.255", "100.128.0.1", "172.32.0.1", "2606:4700::1111",
          "::ffff:8.8.8.8", "2002:808:808::1", "64:ff9b::8.8.8.8"]  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
def test_addresses_of_a_network(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_addresses_of_the_internet(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "::1", "0"])
def test_whatever_a_name_leads_to_is_looked_at(host: str) -> None:
    with pytest.raises(OSError, match="its name leads to no public address"):
        connect((host, 9), 1)
    assert leads_inside(host, 9)


def test_a_host_is_named_with_its_port_or_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENECANVAS_PRIVATE_HOSTS", "localhost, 127.0.0.1:8080")
    assert not leads_inside("LOCALHOST", 1)
    assert not leads_inside("127.0.0.1", 8080)
    assert leads_inside("127.0.0.1", 8081)
