"""A bad network between the two sides of a call: a UDP forwarder that each takes for the other.

Every description names a port of the forwarder instead of the machine's own, so that whatever the two send
each other, packets of ICE, DTLS and SRTP alike, goes through it and may be lost, late and out of order. Not
its concern: what is in the packets.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, replace
from typing import Any, cast

from mobium.media.description import read, write
from mobium.media.link import LinkListener, Terms
from mobium.media.peer import RtcLink

__all__ = ["Forwarder", "Weather"]


@dataclass
class Weather:
    """What becomes of packets: a part (0 to 1) is lost, and each takes between two times (seconds)."""

    loss: float = 0.0
    fastest: float = 0.0
    slowest: float = 0.0


class _Port(asyncio.DatagramProtocol):
    """One side's port. `behind` is the address of the machine that it stands for."""

    def __init__(self, forwarder: Forwarder) -> None:
        self.forwarder = forwarder
        self.other: _Port
        self.behind: tuple[str, int] | None = None
        self.transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.other.behind = addr  # whoever writes to this port is the machine that the other one stands for
        self.forwarder.carry(self, data)

    def deliver(self, data: bytes) -> None:
        if self.behind is not None and not self.transport.is_closing():
            self.other.transport.sendto(data, self.behind)


class Forwarder:
    """Links that go through it: `maker` makes them. One of these for one call."""

    def __init__(self, weather: Weather, dice: random.Random) -> None:
        self.weather = weather
        self.carried = self.lost = self.reordered = 0
        self._cut: set[_Port] = set()
        self._dice = dice
        self._ports: dict[str, _Port] = {}
        self._opened: list[_Port] = []
        self._sent: dict[_Port, int] = {}
        self._arrived: dict[_Port, int] = {}

    def maker(self, terms: Terms, listener: LinkListener) -> RtcLink:
        """A `LinkMaker`."""
        return _Link(self, terms, listener)

    async def stand_for(self, text: str, kind: Any) -> str:
        """The description with a port of the forwarder in the place of the machine's."""
        if kind == "offer":
            self._ports = {}
            await self._open()
        given = read(text, kind)
        port = self._ports[kind]
        [own] = [one for one in given.candidates if one.address.is_loopback]
        port.behind = (str(own.address), own.port)
        outside = port.transport.get_extra_info("sockname")[1]
        return write(replace(given, candidates=(replace(own, port=outside),)))

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        for kind in ("offer", "answer"):
            _, port = await loop.create_datagram_endpoint(lambda: _Port(self), local_addr=("127.0.0.1", 0))
            self._ports[kind] = port
            self._opened.append(port)
        offer, answer = self._ports["offer"], self._ports["answer"]
        offer.other, answer.other = answer, offer

    def carry(self, port: _Port, data: bytes) -> None:
        """A packet came at a port: it goes to the machine behind it, perhaps."""
        self.carried += 1
        if port in self._cut or self._dice.random() < self.weather.loss:
            self.lost += 1
            return
        number = self._sent[port] = self._sent.get(port, 0) + 1

        def arrive() -> None:
            if number < self._arrived.get(port, 0):
                self.reordered += 1
            self._arrived[port] = max(number, self._arrived.get(port, 0))
            port.deliver(data)

        delay = self._dice.uniform(self.weather.fastest, self.weather.slowest)
        asyncio.get_running_loop().call_later(delay, arrive)

    def cut(self) -> None:
        """Lose everything that goes over the links of now, in both directions; links to come work."""
        self._cut.update(self._opened)

    def close(self) -> None:
        """Close the ports."""
        for port in self._opened:
            port.transport.close()


class _Link(RtcLink):
    def __init__(self, forwarder: Forwarder, terms: Terms, listener: LinkListener) -> None:
        super().__init__(terms, listener)
        self._forwarder = forwarder

    async def offer(self) -> str:
        return await self._forwarder.stand_for(await super().offer(), "offer")

    async def answer(self, offer: str) -> str:
        return await self._forwarder.stand_for(await super().answer(offer), "answer")
