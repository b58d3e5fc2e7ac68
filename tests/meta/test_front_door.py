"""The names and parameters that users of the library rely on, held by lists: whoever changes one means it."""

import importlib
import inspect
import pkgutil
from types import ModuleType
from typing import Any

import pytest

import mobium
import mobium_client
import mobium_server

CRYPTO = {
    "BUCKETS": None,
    "pad": ["plaintext"],
    "unpad": ["padded"],
    "DoubleRatchet.initiate": ["shared_secret", "remote_public", "associated_data"],
    "DoubleRatchet.accept": ["shared_secret", "ratchet_private", "associated_data"],
    "DoubleRatchet.encrypt": ["self", "plaintext"],
    "DoubleRatchet.decrypt": ["self", "message"],
    "DoubleRatchet.to_bytes": ["self"],
    "DoubleRatchet.from_bytes": ["data"],
    "Identity.generate": [],
    "Identity.from_words": ["words", "passphrase"],
    "Identity.public": None,
    "Identity.x_public": None,
    "Identity.binding": None,
    "Identity.sign": ["self", "data"],
    "SenderKey.create": ["channel_id", "sender"],
    "SenderKey.distribution": ["self"],
    "SenderKey.encrypt": ["self", "plaintext"],
    "SenderKey.to_bytes": ["self"],
    "SenderKey.from_bytes": ["data"],
    "SenderKey.key_id": None,
    "SenderKey.iteration": None,
    "ReceiverKey.from_distribution": ["data", "sender"],
    "ReceiverKey.decrypt": ["self", "message"],
    "ReceiverKey.to_bytes": ["self"],
    "ReceiverKey.from_bytes": ["data"],
    "message_head": ["message"],
    "FrameSealer": ["base_key", "kid"],
    "FrameSealer.seal": ["self", "frame"],
    "FrameSealer.kid": None,
    "FrameSealer.counter": None,
    "FrameOpener": ["base_key", "kid"],
    "FrameOpener.open": ["self", "data"],
    "FrameOpener.kid": None,
    "frame_header": ["data"],
    "Session.initiate": ["identity", "bundle"],
    "Session.accept": ["identity", "prekeys", "message"],
    "Session.encrypt": ["self", "plaintext"],
    "Session.decrypt": ["self", "payload"],
    "Session.to_bytes": ["self"],
    "Session.from_bytes": ["data"],
}
CLIENT = {
    "Engine.create": ["dir", "password"],
    "Engine.recover": ["dir", "password", "words"],
    "Engine.open": ["dir", "password"],
    "Engine.me": None,
    "Engine.connect": ["self", "url"],
    "Engine.disconnect": ["self"],
    "Engine.lock": ["self"],
    "Engine.send": ["self", "peer", "text"],
    "Engine.wait": ["self", "id", "state", "timeout"],
    "Engine.events": ["self"],
    "ConnectionChanged": None,
    "MessageReceived": None,
    "MessageStateChanged": None,
    "ContactKeyChanged": None,
}
ERRORS = {
    "MobiumError": "Exception",
    "CryptoError": "MobiumError",
    "DecryptError": "CryptoError",
    "Duplicate": "DecryptError",
    "TooFar": "DecryptError",
    "Invalid": "DecryptError",
    "PaddingError": "CryptoError",
    "SignatureError": "CryptoError",
    "StateError": "CryptoError",
    "WrongPassword": "MobiumError",
    "RecoveryError": "MobiumError",
    "ProtocolError": "MobiumError",
    "ServerRefused": "MobiumError",
    "NotConnected": "MobiumError",
    "StoreError": "MobiumError",
    "StoreDamaged": "StoreError",
    "StoreFault": "StoreError",
    "InvalidInput": "MobiumError",
    "CallError": "MobiumError",
    "MediaUnavailable": "MobiumError",
    "OpusUnavailable": "MediaUnavailable",
    "AudioUnavailable": "MediaUnavailable",
    "CaptureUnavailable": "MediaUnavailable",
    "IdentityChanged": "CryptoError",
    "ServerKeyChanged": "NotConnected",
}


def modules() -> list[str]:
    """Every module of the three packages but the programs and the extension, which its stub holds."""
    found = []
    for package in (mobium, mobium_server, mobium_client):
        inside = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        found += [package.__name__, *(info.name for info in inside)]
    return [name for name in found if name.rpartition(".")[2] not in ("__main__", "_native")]


def check(module: ModuleType, path: str, parameters: list[str] | None) -> None:
    assert path.split(".", maxsplit=1)[0] in module.__all__
    found: Any = module
    for name in path.split("."):
        found = getattr(found, name)
    if parameters is None:
        return
    signature = inspect.signature(found)
    # more may follow as long as nobody has to give it
    given = [
        name for name, one in signature.parameters.items() if one.default is one.empty or name in parameters
    ]
    assert given == parameters


@pytest.mark.parametrize("path", CRYPTO)
def test_crypto(path: str) -> None:
    check(importlib.import_module("mobium.crypto"), path, CRYPTO[path])


@pytest.mark.parametrize("path", CLIENT)
def test_client(path: str) -> None:
    check(importlib.import_module("mobium.client"), path, CLIENT[path])


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    errors = importlib.import_module("mobium.errors")
    assert name in errors.__all__
    assert getattr(errors, name).__mro__[1].__name__ == ERRORS[name]


def test_no_error_is_missing_from_the_list() -> None:
    assert set(importlib.import_module("mobium.errors").__all__) == set(ERRORS)


@pytest.mark.parametrize("name", modules())
def test_a_module_has_the_names_it_lists(name: str) -> None:
    module = importlib.import_module(name)
    listed = getattr(module, "__all__", [])
    assert [one for one in listed if not hasattr(module, one)] == []
    assert len(listed) == len(set(listed))
