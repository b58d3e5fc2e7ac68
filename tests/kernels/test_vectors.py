"""The frozen vectors of the kernels, made again by each back end; cargo test follows them by itself."""

from __future__ import annotations

import hashlib
import json
from collections import Counter

import pytest

from tests.kernels.kernels import Kernels
from tests.vectors import frame_reference, kernels_make, sender_reference


@pytest.mark.parametrize("name", list(kernels_make.FILES))
def test_each_back_end_makes_the_frozen_file(kernels: Kernels, name: str) -> None:
    frozen = (kernels_make.HERE / name).read_text()
    assert kernels_make.text_of(kernels_make.FILES[name](kernels)) == frozen


def test_the_vectors_show_every_outcome() -> None:
    made = json.loads((kernels_make.HERE / "ratchet.json").read_text())
    steps = [step for story in made["conversations"] for step in story["steps"]]
    outcomes = Counter(step.get("error", "opens") for step in steps if step["do"] == "decrypt")
    assert set(outcomes) == {"opens", "Duplicate", "TooFar", "Invalid"}
    assert min(outcomes.values()) >= 4
    made = json.loads((kernels_make.HERE / "padding.json").read_text())
    assert len(made["pad"]) == 3 + 2 * 14 - 1
    assert len(made["unpad_refuses"]) == 8


def test_the_vectors_of_sender_keys_show_every_outcome() -> None:
    made = json.loads((kernels_make.HERE / "sender_key.json").read_text())
    steps = [step for channel in made["channels"] for step in channel["steps"]]
    outcomes = Counter(step.get("error", "opens") for step in steps if step["do"] == "decrypt")
    assert set(outcomes) == {"opens", "Duplicate", "TooFar", "Invalid"}
    assert min(outcomes.values()) >= 2
    assert [step["error"] for step in steps if step["do"] == "refuse"] == ["Invalid"] * 11


def test_the_reference_sends_the_frozen_messages() -> None:
    made = json.loads((kernels_make.HERE / "sender_key.json").read_text())
    for channel in made["channels"]:
        keys = [bytes.fromhex(channel[name]) for name in ("chain_key", "signing_seed")]
        place = [bytes.fromhex(channel[name]) for name in ("channel_id", "sender", "roster_hash")]
        chain = sender_reference.Chain(
            place[0], place[1], channel["roster_index"], place[2], channel["key_id"], *keys
        )
        for step in channel["steps"]:
            if step["do"] == "encrypt":
                text = bytes(i % 251 for i in range(step["size"]))
                message = chain.encrypt(text, bytes.fromhex(step["salt"]))
                said = step["message"]
                assert message.hex() == said.get("hex", message.hex())
                assert hashlib.sha256(message).hexdigest() == said.get(
                    "sha256", hashlib.sha256(message).hexdigest()
                )
            elif step["do"] == "burn":
                for _ in range(step["count"]):
                    chain.encrypt(b"", bytes(16))
            elif step["do"] == "distribute":
                assert chain.distribution(bytes.fromhex(step["nickname"])).hex() == step["data"]


def test_the_vectors_of_frames_show_every_outcome() -> None:
    made = json.loads((kernels_make.HERE / "frame.json").read_text())
    steps = [step for stream in made["streams"] for step in stream["steps"]]
    outcomes = Counter(step.get("error", "opens") for step in steps if step["do"] == "open")
    assert set(outcomes) == {"opens", "Duplicate", "Invalid"}
    assert min(outcomes.values()) >= 12
    assert [step["error"] for step in steps if step["do"] == "used_up"] == ["CryptoError"]


def test_the_reference_seals_the_frozen_frames() -> None:
    made = json.loads((kernels_make.HERE / "frame.json").read_text())
    for stream in made["streams"]:
        counter = stream["counter"]
        for step in stream["steps"]:
            if step["do"] == "seal":
                text = bytes(i % 251 for i in range(step["size"]))
                metadata = bytes.fromhex(step["metadata"])
                base_key = bytes.fromhex(stream["base_key"])
                frame = frame_reference.seal(base_key, stream["kid"], counter, metadata, text)
                if "hex" in step["frame"]:
                    assert frame.hex() == step["frame"]["hex"]
                else:
                    assert hashlib.sha256(frame).hexdigest() == step["frame"]["sha256"]
            counter += {"seal": 1, "burn": step.get("count")}.get(step["do"], 0)


@pytest.mark.parametrize("name", ["sender_reference.py", "frame_reference.py"])
def test_the_reference_imports_nothing_of_mobium(name: str) -> None:
    text = (kernels_make.HERE / name).read_text()
    imports = [line for line in text.splitlines() if line.startswith(("import ", "from "))]
    assert imports
    assert not any("mobium" in line for line in imports)
