"""The servers that help calls are asked for as seldom as may be, and kept when asking is refused."""

from __future__ import annotations

from collections import deque
from types import SimpleNamespace
from typing import cast

import pytest

from mobium.client.call_ice import IceServers
from mobium.client.online import Online
from mobium.errors import ProtocolError, ServerRefused
from mobium.media.link import IceServer
from mobium.protocol.messages import ClientMessage, GetIceConfig, IceConfig, Pong, ServerMessage
from mobium.protocol.messages import IceServer as Named

STUN = IceServer("stun:stun.example.org", None, None)
TURN = IceServer("turn:turn.example.org", "name", "word")
NAMED = [Named([STUN.url]), Named([TURN.url, "http://turn.example.org"], "name", "word")]


class Line:
    """A connection whose answers are laid down before."""

    def __init__(self, host: str, *answers: ServerMessage | ServerRefused) -> None:
        self.address = SimpleNamespace(host=host)
        self._answers = deque(answers)

    async def request(self, message: ClientMessage) -> ServerMessage:
        assert message == GetIceConfig()
        answer = self._answers.popleft()
        if isinstance(answer, ServerRefused):
            raise answer
        return answer

    @property
    def asked_for_all(self) -> bool:
        return not self._answers


def line(*answers: ServerMessage | ServerRefused, host: str = "chat.example.org:443") -> tuple[Line, Online]:
    made = Line(host, *answers)
    return made, cast("Online", made)


REFUSED = ServerRefused("rate_limited", "", 60.0)


async def test_an_answer_serves_for_half_of_its_life_and_when_asking_is_refused_for_all_of_it() -> None:
    servers = IceServers()
    end, online = line(IceConfig(NAMED, 100), REFUSED, IceConfig([], 100))
    assert await servers.ask(online, 1_000.0) == (STUN, TURN), "what has another scheme is left out"
    assert await servers.ask(online, 1_049.0) == (STUN, TURN)
    assert await servers.ask(online, 1_050.0) == (STUN, TURN), "asked, and refused"
    assert await servers.ask(online, 1_051.0) == ()
    assert end.asked_for_all


async def test_what_has_expired_is_not_used_however_asking_goes() -> None:
    servers = IceServers()
    _, online = line(IceConfig(NAMED, 100), REFUSED)
    await servers.ask(online, 1_000.0)
    with pytest.raises(ServerRefused):
        await servers.ask(online, 1_100.0)


async def test_an_answer_without_credentials_serves_ten_minutes() -> None:
    servers = IceServers()
    end, online = line(IceConfig(NAMED[:1]), IceConfig([]))
    assert await servers.ask(online, 0.0) == await servers.ask(online, 299.0) == (STUN,)
    assert await servers.ask(online, 300.0) == ()
    assert end.asked_for_all


async def test_another_server_is_asked_for_its_own() -> None:
    servers = IceServers()
    await servers.ask(line(IceConfig(NAMED, 100))[1], 0.0)
    _, other = line(REFUSED, IceConfig([], 100), host="other.example.org:443")
    with pytest.raises(ServerRefused):
        await servers.ask(other, 1.0)
    assert await servers.ask(other, 2.0) == ()


async def test_another_answer_breaks_the_protocol() -> None:
    with pytest.raises(ProtocolError, match="something else"):
        await IceServers().ask(line(Pong())[1], 0.0)
