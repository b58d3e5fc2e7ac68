"""Which screen follows on which, without a display: on a real engine behind a real bridge."""

from __future__ import annotations

from pathlib import Path

from mobium_client.gui.models.first_run import FirstRun
from mobium_client.gui.models.picker import Picker
from mobium_client.gui.models.presenter import Presenter
from mobium_client.gui.models.unlock import Unlock
from tests.desktop.profiles import PASSWORD, make
from tests.support.seat import Seat


def test_without_a_profile_there_is_the_first_run(folder: Path) -> None:
    with Seat(folder) as seat:
        seat.desktop.start()
        seat.until(lambda: isinstance(seat.screen, FirstRun))
        make(folder)
        seat.screen.look_again()
        seat.until(lambda: isinstance(seat.screen, Unlock))


def test_of_several_profiles_one_is_picked_and_comes_first_the_next_time(folder: Path) -> None:
    make(folder, "anna")
    make(folder, "bert")
    with Seat(folder) as seat:
        seat.desktop.start()
        seat.until(lambda: isinstance(seat.screen, Picker))
        seat.screen.choose("bert")
        assert seat.screen.state.profile == "bert"
        assert seat.screen.state.others
        seat.screen.open(PASSWORD)
        seat.enter()
        assert seat.context.preferences.state.last_profile == "bert"
    with Seat(folder, seat.context.preferences.state) as seat:
        seat.desktop.start()
        seat.until(lambda: isinstance(seat.screen, Picker))
        assert seat.screen.state.profiles == ("bert", "anna")


def test_a_wrong_password_is_told_and_the_right_one_opens(folder: Path) -> None:
    make(folder)
    with Seat(folder) as seat:
        seat.desktop.start("anna")
        seat.until(lambda: isinstance(seat.screen, Unlock))
        unlock = seat.screen
        unlock.open("")
        assert "password" in unlock.state.problem
        unlock.open("another password entirely")
        assert unlock.state.busy
        seat.until(lambda: not unlock.state.busy)
        assert unlock.state.problem
        assert unlock.state.tries == 1
        unlock.open(PASSWORD)
        seat.enter()


def test_locking_ends_the_engine_and_what_is_open_before_a_password_is_taken(folder: Path) -> None:
    make(folder)
    with Seat(folder) as seat:
        main = seat.unlock(PASSWORD)
        engine = main.opened.engine
        seat.context.overlays.open(Presenter(seat.bridge, None))
        seat.desktop.lock()
        assert isinstance(seat.screen, Unlock)
        assert seat.context.overlays.state == ()
        seat.screen.open(PASSWORD)  # the engine is still being locked
        assert not seat.screen.state.busy
        seat.until(lambda: not seat.screen.state.locking)
        seat.screen.open(PASSWORD)
        seat.enter()
        assert seat.main.opened.engine is not engine


def test_a_dialog_ends_when_it_is_dismissed(folder: Path) -> None:
    with Seat(folder) as seat:
        overlays = seat.context.overlays
        ended: list[str] = []

        class Dialog(Presenter[None]):
            def close(self) -> None:
                ended.append("one")
                super().close()

        dialog = Dialog(seat.bridge, None)
        overlays.dismiss()
        overlays.open(dialog)
        overlays.dismiss()
        overlays.dismiss(dialog)
        assert ended == ["one"]


def test_a_damaged_database_is_said_with_what_to_do(folder: Path) -> None:
    path = make(folder)
    for name in ("mobium.db", "mobium.db-wal", "mobium.db-shm"):
        if (path / name).exists():
            (path / name).write_bytes(b"\x55" * 8_192)
    with Seat(folder) as seat:
        seat.desktop.start()
        seat.until(lambda: isinstance(seat.screen, Unlock))
        seat.screen.open(PASSWORD)
        seat.until(lambda: seat.screen.state.problem)
        assert not seat.screen.state.busy
        assert "is damaged; it was left as it is. Put a copy in its place" in seat.screen.state.problem


def test_a_damaged_vault_is_said_with_what_to_do(folder: Path) -> None:
    vault = make(folder) / "vault"
    vault.write_bytes(vault.read_bytes()[:100])
    with Seat(folder) as seat:
        seat.desktop.start()
        seat.until(lambda: isinstance(seat.screen, Unlock))
        seat.screen.open(PASSWORD)
        seat.until(lambda: seat.screen.state.problem)
        assert "24 words in another profile" in seat.screen.state.problem


def test_a_profile_that_is_open_elsewhere_is_said(folder: Path) -> None:
    make(folder)
    with Seat(folder) as one:
        one.unlock(PASSWORD)
        with Seat(folder) as seat:
            seat.desktop.start()
            seat.until(lambda: isinstance(seat.screen, Unlock))
            seat.screen.open(PASSWORD)
            seat.until(lambda: seat.screen.state.problem)
            assert "open in another program" in seat.screen.state.problem
