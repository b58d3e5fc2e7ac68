"""Sound and pictures: what is heard and shown, before it is sealed and after it was opened.

    form         the form of all sound in here: 48 kHz, mono, s16le, frames of 20 ms (1,920 bytes)
    opus         packets of frames and back (libopus through opuslib-next)
    jitter       when each packet of a speaker is played: sans-I/O, the clock is an argument
    levels       how loud, who speaks
    mixer        many speakers into one frame
    pipeline     `Outgoing`: microphone to packets. `Incoming`: packets of many to the speaker
    devices      the edge: `AudioDevices`, its events, and `VirtualDevices`, the reference in memory
    portaudio    the real ones (sounddevice)
    sources      what may stand for a microphone or a speaker: tone, file (PyAV), recording
    tones        ringing, as generated sound
    link         what connects two who call each other, and `description`, what they tell each other about it
    peer         the real link: WebRTC (aiortc)
    capture      the edge to screens: `Capture`, and the real one (mss); `pattern` is the reference in memory
    screen       pictures as frames of VP8 and back (PyAV)
    fragments    their heads, and the pieces in which a sealed one goes through a room: sans-I/O
    pace         when the next picture is due, and what may go out: the clock is an argument
    broadcast    a share of a screen in a room: sans-I/O. `share` has the pumps around it
    follow       how a viewer stays live: sans-I/O. `view` decodes what it says

Each adapter imports its one library, and only once it is used: importing any of these modules but `peer`
takes the standard library alone. What is missing then is `MediaUnavailable`, which says what to install. Not
its concern: keys and frames on the wire (`mobium.crypto.media`), rooms and calls (`mobium.client`).
"""

from __future__ import annotations

from mobium.media.form import FRAME_BYTES, FRAME_SAMPLES, FRAME_SECONDS, RATE, SILENCE

__all__ = ["FRAME_BYTES", "FRAME_SAMPLES", "FRAME_SECONDS", "RATE", "SILENCE"]
