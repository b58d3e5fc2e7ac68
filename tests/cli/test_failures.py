"""How the command ends: a sentence and a code for everything, and a log that repeats nobody's words."""

from __future__ import annotations

import asyncio
import importlib
import logging
import stat
import sys
from pathlib import Path

import pytest

from mobium import __version__, _backend, errors
from mobium_client.cli.failures import ExitCode, exit_code, guarded
from mobium_client.log import keep_log

SECRET = "the words that nobody may read"


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MOBIUM_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


def _log(data: Path) -> Path:
    return data / "log" / "mobium.log"


def _raise(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.MobiumError("It was refused."), ExitCode.FAILED),
        (errors.ServerRefused("queue_full", "It is full."), ExitCode.FAILED),
        (errors.SignatureError("It does not verify."), ExitCode.FAILED),
        (errors.InvalidInput("It names nobody."), ExitCode.USAGE),
        (errors.NotConnected("There is nobody."), ExitCode.NOT_YET),
        (errors.ServerKeyChanged(bytes(32), bytes(32)), ExitCode.NOT_YET),
        (errors.WrongPassword("It does not fit."), ExitCode.WRONG_SECRET),
        (errors.RecoveryError("Word 3 is wrong."), ExitCode.WRONG_SECRET),
        (errors.StoreError("It is damaged."), ExitCode.DATA),
    ],
)
def test_every_error_is_one_sentence_and_a_code(
    error: errors.MobiumError, code: int, capsys: pytest.CaptureFixture[str], data: Path
) -> None:
    assert guarded(lambda: _raise(error)) == code == exit_code(error)
    assert (
        guarded(lambda: _raise(ExceptionGroup("g", [ExceptionGroup("h", [error]), ValueError("x")]))) == code
    )
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"mobium: {error}\n" * 2
    assert not _log(data).exists()


def test_every_error_of_the_library_has_a_code() -> None:
    for name in errors.__all__:
        kind = getattr(errors, name)
        assert issubclass(kind, errors.MobiumError), name
        assert exit_code(kind.__new__(kind)) in set(ExitCode)


def test_a_server_cannot_write_on_the_screen(capsys: pytest.CaptureFixture[str]) -> None:
    guarded(lambda: _raise(errors.ServerRefused("internal", "no\x1b[2J\nmobium: all is well\u202e")))
    assert capsys.readouterr().err == "mobium: no␛[2J mobium: all is well‹U+202E›\n"


@pytest.mark.parametrize("error", [ValueError(SECRET), KeyError(SECRET), AssertionError(SECRET)])
def test_what_nobody_expected_goes_to_a_private_log(
    error: Exception, capsys: pytest.CaptureFixture[str], data: Path
) -> None:
    def deeper() -> None:
        try:
            _raise(RuntimeError(SECRET))
        except RuntimeError:
            raise error  # noqa: B904 - the log shows what it happened in

    assert guarded(deeper) == ExitCode.UNEXPECTED
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert str(_log(data)) in captured.err
    assert "Traceback" not in captured.err
    text = _log(data).read_text()
    assert stat.S_IMODE(_log(data).stat().st_mode) == 0o600
    assert SECRET not in text
    assert SECRET not in captured.err
    assert f"{Path(__file__).name}:" in text
    assert "in deeper" in text
    assert f"builtins.{type(error).__name__}" in text
    assert "builtins.RuntimeError" in text
    assert f"mobium {__version__} ({_backend.NAME}), Python " in text.splitlines()[0]


def test_a_log_that_cannot_be_written_is_no_second_failure(
    capsys: pytest.CaptureFixture[str], data: Path
) -> None:
    data.write_text("a file where the folder should be")
    assert guarded(lambda: _raise(ValueError(SECRET))) == ExitCode.UNEXPECTED
    assert "no log could be written" in capsys.readouterr().err


def test_a_damaged_installation_is_no_second_failure(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mobium.client.profile", None)
    assert guarded(lambda: importlib.import_module("mobium.client.profile")) == ExitCode.UNEXPECTED
    assert capsys.readouterr().err.count("\n") == 1


def test_a_link_in_the_place_of_the_log_is_not_followed(data: Path, tmp_path: Path) -> None:
    _log(data).parent.mkdir(parents=True)
    other = tmp_path / "other"
    other.write_text("untouched")
    _log(data).symlink_to(other)
    guarded(lambda: _raise(ValueError(SECRET)))
    assert other.read_text() == "untouched"


def test_the_log_does_not_grow_for_ever(data: Path) -> None:
    guarded(lambda: _raise(ValueError()))
    with _log(data).open("a") as file:
        file.write("x" * (1 << 20))
    guarded(lambda: _raise(ValueError()))
    assert _log(data).stat().st_size < 10_000
    assert _log(data).with_name("mobium.log.old").stat().st_size > 1 << 20


def test_interruptions_and_results(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(lambda: _raise(KeyboardInterrupt())) == ExitCode.INTERRUPTED
    assert capsys.readouterr().err == "\n"
    assert guarded(lambda: _raise(SystemExit(7))) == 7
    assert guarded(lambda: 3) == 3
    assert guarded(lambda: None) == 0


def test_what_libraries_log_stays_off_the_screen(capsys: pytest.CaptureFixture[str], data: Path) -> None:
    async def forgotten() -> None:
        task = asyncio.get_running_loop().create_future()
        task.set_exception(ValueError(SECRET))
        del task

    with keep_log():
        asyncio.run(forgotten())
        try:
            _raise(ValueError(SECRET))
        except ValueError:
            logging.getLogger("some.library").exception("first line\nsecond: %s", SECRET)
        logging.getLogger("some.library").info("not worth a line")
    captured = capsys.readouterr()
    assert captured.err == captured.out == ""
    text = _log(data).read_text()
    assert "ERROR some.library: first line\nbuiltins.ValueError\n" in text
    assert "ERROR asyncio: Future exception was never retrieved" in text
    assert SECRET not in text
    assert "not worth a line" not in text
