"""Voice rooms between real processes: speech goes in at one `mobium voice` and comes out of the others."""

from __future__ import annotations

import subprocess
import wave
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.commands import FAST, Desk
from tests.support.hearing import TRIES, coded, lag, understood
from tests.support.server import ServerProcess
from tests.support.sound import SHORT, speech

pytestmark = [pytest.mark.once, pytest.mark.needs("libopus", "espeak-ng")]

RATE = 48_000


def wav(path: Path, pcm: bytes) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(pcm)
    return path


def pcm_of(path: Path) -> bytes:
    with wave.open(str(path), "rb") as file:
        assert file.getframerate() == RATE
        return bytes(file.readframes(file.getnframes()))


def garden(folder: Path, server: ServerProcess, names: list[str]) -> list[Desk]:
    """The machines of some people who are in one channel."""
    desks = [Desk(folder / name, command=FAST) for name in names]
    with ThreadPoolExecutor(2) as at_once:
        list(at_once.map(lambda desk: desk.run("profile", "create", desk.home.name), desks))
        desks[0].run("--server", server.url, "channel", "create", "garden")
        link = desks[0].run("channel", "invite", "#garden", "--uses", "0").out.split()[-1]
        list(at_once.map(lambda desk: desk.run("--server", server.url, "channel", "join", link), desks[1:]))
    return desks


def scores(speaker: Desk, listeners: list[Desk], said: bytes, folder: Path) -> list[float]:
    """How well each listener understands what one says in the room."""
    file = wav(folder / "said.wav", said)
    found = []
    with ExitStack() as stack:
        listening: list[subprocess.Popen[bytes]] = []
        for index, desk in enumerate(listeners):
            record = str(folder / f"{index}.wav")
            process = desk.start("voice", "#garden", "--record", record, "--seconds", "60")
            listening.append(stack.enter_context(process))
            stack.callback(process.kill)
        for process in listening:
            assert process.stderr is not None
            while b"voice room" not in process.stderr.readline():
                assert process.poll() is None
        told = speaker.run("voice", "#garden", "--input", str(file)).err
        assert told.count(" is in the voice room\n") == len(listeners)
        for process in listening:
            process.terminate()
        for index, process in enumerate(listening):
            _, err = process.communicate(timeout=30)
            assert b"Traceback" not in err, err.decode()
            heard = pcm_of(folder / f"{index}.wav")
            assert lag(said, heard) > 0
            found.append(understood(said, heard))
    print(f"{1 + len(listeners)} in the room:", *(f"STOI {one:.3f}" for one in found))
    return found


@pytest.mark.serial
def test_speech_comes_out_of_every_other_one(tmp_path: Path) -> None:
    """It is said again if the machine was busy."""
    said = speech(SHORT)
    clean = understood(said, coded(said))
    print(f"through Opus alone: STOI {clean:.3f}")
    with ServerProcess(tmp_path / "server") as server:
        first, *others = garden(tmp_path, server, [f"person{index}" for index in range(5)])
        for listeners in (others[:1], others):
            assert any(min(scores(first, listeners, said, tmp_path)) >= 0.9 * clean for _ in range(TRIES))


def test_what_cannot_be_is_said_in_one_sentence(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "server") as server:
        [desk] = garden(tmp_path, server, ["anna"])
        nowhere = desk.run("voice", "#nowhere", "--record", str(tmp_path / "x.wav"), code=2)
        assert "no channel" in nowhere.sentence
        silent = desk.run("voice", "#garden", "--input", str(tmp_path / "missing.wav"), code=2)
        assert "cannot be read as sound" in silent.sentence
        folder = desk.run("voice", "#garden", "--record", str(tmp_path), code=2)
        assert "cannot be written" in folder.sentence
        full = desk.run("voice", "#garden", "--record", "/dev/full", code=2)
        assert full.sentence == "mobium: /dev/full cannot be written: No space left on device."
        size = desk.run("voice", "#garden", "--record", str(tmp_path / "x.wav"), "--screen", "4k", code=2)
        assert size.sentence == "mobium: --screen takes 360p, 720p, 1080p."
        assert not (tmp_path / "x.wav").exists(), "of what never began nothing stays"
        blind = desk.run(
            "voice", "#garden", "--record", str(tmp_path / "blind.wav"), "--screen", "360p", code=1
        )
        assert "There is no screen to show" in blind.err
        done = desk.run("voice", "#garden", "--record", str(tmp_path / "x.wav"), "--seconds", "0.5")
        assert done.err == "nobody else is in the voice room yet\n"
        both = ("--input", str(tmp_path / "x.wav"), "--record", str(tmp_path / "sub" / ".." / "x.wav"))
        (tmp_path / "sub").mkdir()
        assert "name another file for the recording" in desk.run("voice", "#garden", *both, code=2).sentence
        as_json = desk.run(
            "voice", "#garden", "--record", str(tmp_path / "x.wav"), "--seconds", "0.5", "--json"
        )
        assert as_json.out == '{"event": "people", "people": []}\n'
        assert (tmp_path / "x.wav").stat().st_size > 20_000
