"""Ports that stay ours."""

from __future__ import annotations

import socket

import pytest

from chaos.system.ports import SHARED_HOLD, Address, reserve_port


def test_held_port_refuses_connections() -> None:
    """Nobody listens on a held port."""
    with reserve_port() as hold, socket.socket() as client:
        assert client.connect_ex(hold.address) != 0


@pytest.mark.skipif(not SHARED_HOLD, reason="the port is given up before the start there")
def test_held_port_can_be_listened_on_and_outlives_the_listener() -> None:
    """A listener that reuses addresses gets the port, and after its death it is refused and ours again."""
    with reserve_port() as hold:
        for _ in range(2):
            with socket.create_server(hold.address) as server, socket.create_connection(hold.address, 5) as client:
                peer, _ = server.accept()
                peer.close()
                assert client.recv(1) == b""
            with socket.socket() as client:
                assert client.connect_ex(hold.address) != 0


def test_held_ports_are_not_given_twice() -> None:
    """Many holds at once have different ports."""
    holds = [reserve_port() for _ in range(200)]
    try:
        assert len({hold.address for hold in holds}) == 200
    finally:
        for hold in holds:
            hold.close()


def test_taken_port_is_refused() -> None:
    """A port somebody listens on cannot be held."""
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(OSError, match="in use"):
        reserve_port(port=server.getsockname()[1])


def test_closed_hold_gives_the_port_back() -> None:
    """After closing, anybody can have the port; closing twice is harmless."""
    hold = reserve_port()
    hold.close()
    hold.close()
    with reserve_port(port=hold.address.port) as again:
        assert again.address == hold.address


def test_address_is_written_for_urls() -> None:
    """IPv6 hosts stand in brackets."""
    assert str(Address("127.0.0.1", 80)) == "127.0.0.1:80"
    assert str(Address("::1", 80)) == "[::1]:80"
