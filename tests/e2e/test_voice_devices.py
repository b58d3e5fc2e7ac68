"""Voice rooms with real sound, as far as a machine without a sound card has it: two and five people run
`mobium voice`, each in a process of its own with a microphone and a speaker of PulseAudio, through PortAudio.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

from tests.e2e.test_voice import garden
from tests.support.commands import Desk
from tests.support.hearing import TRIES, coded, lag, understood
from tests.support.server import ServerProcess
from tests.support.sound import SOUND, Pulse, pulse, speech

pytestmark = SOUND

TEXTS = (
    "The quick brown fox jumps over the lazy dog, and goes home.",
    "She had your dark suit in greasy wash water all year.",
)
OWN = ("ALSA_CONFIG_PATH", "PULSE_COOKIE", "PULSE_RUNTIME_PATH", "PULSE_SERVER", "PULSE_STATE_PATH")
"""The variables by which a program finds the PulseAudio."""
QUIET = 0.3
"""Seconds of silence before and after what is said: no stream begins at once."""


class Talker:
    """Somebody in the room, in a process of its own, with the devices of a number."""

    def __init__(self, desk: Desk, index: int) -> None:
        devices = ("--microphone", f"mic{index}src", "--speaker", f"spk{index}")
        self.process = desk.start("voice", "#garden", *devices, "--seconds", "600")
        self.seen = 0

    def sees(self, others: int) -> None:
        """Wait until so many others were seen in the room."""
        assert self.process.stderr is not None
        while self.seen < others:
            line = self.process.stderr.readline()
            assert line, f"it ended with {self.process.wait(20)}"
            self.seen += line.endswith(b" is in the voice room\n")


def loudest(pcm: bytes) -> int:
    """The largest sample."""
    return max(map(abs, memoryview(pcm).cast("h")), default=0)


def scores(sound: Pulse, speaker: int, said: bytes, people: int) -> list[float]:
    """How well what one says into a microphone is understood at the speakers of all others. One's own is
    silent.
    """
    with ExitStack() as stack:
        mouth = stack.enter_context(sound.recording(f"mic{speaker}"))
        ears = [stack.enter_context(sound.recording(f"spk{index}")) for index in range(people)]
        time.sleep(QUIET)
        sound.feed(said, f"mic{speaker}").wait(30)
        time.sleep(QUIET)
    assert loudest(ears.pop(speaker).pcm) < 0.05 * loudest(mouth.pcm), "nobody hears himself"
    spoken_at = mouth.began + lag(said, mouth.pcm)
    found = [understood(coded(said), ear.pcm) for ear in ears]
    delays = [ear.began + lag(said, ear.pcm) - spoken_at for ear in ears]
    print(f"{people} in the room:", *(f"STOI {one:.3f}" for one in found))
    print("from microphone to speaker:", *(f"{1_000 * delay:.0f} ms" for delay in delays))
    return found


def is_understood(sound: Pulse, speaker: int, text: str, people: int) -> None:
    """What one says is understood by all others. It is said again if the machine was busy."""
    said = speech(text)
    assert any(min(scores(sound, speaker, said, people)) > 0.7 for _ in range(TRIES))  # 0.96 at rest


def test_speech_goes_from_a_microphone_to_every_other_speaker(tmp_path: Path) -> None:
    names = [f"person{index}" for index in range(5)]
    speakers, microphones = ([f"{kind}{index}" for index in range(5)] for kind in ("spk", "mic"))
    with (
        ServerProcess(tmp_path / "server") as server,
        pulse(tmp_path, speakers, microphones) as sound,
        ExitStack() as stack,
    ):
        talkers: list[Talker] = []
        desks = garden(tmp_path, server, names)
        for desk in desks:
            desk.extra = {name: value for name, value in sound.environment.items() if name in OWN}
        for people, speaker, text in ((2, 0, TEXTS[0]), (5, 3, TEXTS[1])):
            for index in range(len(talkers), people):
                talkers.append(Talker(desks[index], index))
                stack.callback(talkers[index].process.kill)
            for talker in talkers:
                talker.sees(people - 1)
            is_understood(sound, speaker, text, people)
        for talker in talkers:
            talker.process.terminate()
        for talker in talkers:
            _, err = talker.process.communicate(timeout=30)
            assert b"Traceback" not in err, err.decode()
