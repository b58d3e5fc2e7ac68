"""Scenes of the connection dialog, the settings and the help."""

from __future__ import annotations

from typing import Any

from mobium.client import Engine
from mobium.client.address import parse
from mobium.client.store import meta
from mobium.client.store.database import Tx
from tests.support.engines import tx
from tools.scenes.stage import Stage, scene

KEY = bytes(range(7, 39))


def _known(tx: Tx) -> None:
    meta.meet_server(tx, "chat.example.org:443", "ws://127.0.0.1:9/ws")
    meta.set_server_key(tx, "chat.example.org:443", KEY, 1 << 20, 604_800)


async def _server(engine: Engine) -> None:
    await tx(engine, _known)


def _settings(stage: Stage, section: Any, **settings: Any) -> None:
    stage.profile(_server)
    pilot = stage.main(**settings)
    pilot.screen.presenter.show_settings(section)
    pilot.rest(0.5)


@scene("settings-profile")
def settings_profile(stage: Stage) -> None:
    """Profile and recovery."""
    _settings(stage, "profile")


@scene("settings-devices")
def settings_devices(stage: Stage) -> None:
    """Microphone and speaker, as this machine has them."""
    _settings(stage, "devices")
    dialog: Any = stage.pilot.app.desktop.context.overlays.state[-1]
    devices = dialog.devices
    stage.pilot.until(lambda: devices.state.loaded)


@scene("settings-notifications")
def settings_notifications(stage: Stage) -> None:
    """Notifications."""
    _settings(stage, "notifications")


@scene("settings-look")
def settings_look(stage: Stage) -> None:
    """Appearance, size of text, idle minutes."""
    _settings(stage, "look")


@scene("settings-large")
def settings_large(stage: Stage) -> None:
    """The largest text."""
    _settings(stage, "look", text_scale=200)


@scene("settings-small")
def settings_small(stage: Stage) -> None:
    """The smallest text."""
    _settings(stage, "profile", text_scale=80)


@scene("settings-server")
def settings_server(stage: Stage) -> None:
    """The server, which does not answer."""
    _settings(stage, "server")


@scene("settings-about")
def settings_about(stage: Stage) -> None:
    """About."""
    _settings(stage, "about")


@scene("connection")
def connection(stage: Stage) -> None:
    """A server that does not answer, with a countdown."""
    stage.profile(_server)
    pilot = stage.main()
    pilot.screen.presenter.show_connection()
    pilot.until(lambda: pilot.screen.presenter.status.state.reason)


def _another_key(stage: Stage) -> Any:
    """The main screen of somebody whose server shows another key than it did."""
    address = parse(stage.server())

    def changed(tx: Tx) -> None:
        meta.meet_server(tx, address.host, address.url)
        meta.set_server_key(tx, address.host, KEY, 1 << 20, 604_800)

    stage.profile(lambda engine: tx(engine, changed))
    pilot = stage.main()
    pilot.until(lambda: pilot.screen.presenter.status.state.key_changed)
    return pilot


@scene("main-key")
def main_key(stage: Stage) -> None:
    """The server shows another key than it did."""
    _another_key(stage)


@scene("connection-key")
def connection_key(stage: Stage) -> None:
    """The server shows another key than it did, and both are compared."""
    pilot = _another_key(stage)
    pilot.screen.presenter.show_connection()
    dialog: Any = pilot.app.desktop.context.overlays.state[-1]
    pilot.until(lambda: dialog.state.offered)
    dialog.compare()


@scene("help")
def shortcuts(stage: Stage) -> None:
    """The shortcuts."""
    stage.profile(_server)
    pilot = stage.main()
    pilot.app.desktop.show_help()
