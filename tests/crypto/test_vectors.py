"""The frozen vectors, three times: as they stand in tests/vectors, by the reference there, and by mobium."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mobium.crypto import (
    Bundle,
    Identity,
    PrekeyKind,
    PrekeyPair,
    Session,
    _primitives,
    invite,
    pqxdh,
    safety_number,
    session,
    vault,
    verify_binding,
    verify_prekey,
)
from mobium.crypto.mnemonic import seed_from_words, words_from_entropy
from mobium.crypto.prekeys import make_pair
from mobium.protocol import roster as protocol
from mobium.signing import SigningKey, verify
from tests.crypto.conftest import BACKENDS, stepping
from tests.vectors import reference_make
from tests.vectors.reference_make import Json, load

FILES = ["identity", "safety", "prekeys", "pqxdh", "session", "vault", "roster"]
KEM_KINDS = {1: PrekeyKind.KEM_ONE_TIME, 2: PrekeyKind.KEM_LAST_RESORT}
PREKEY_EXPIRES = 1_800_000_000 + 86_400


@pytest.fixture(scope="module")
def computed() -> dict[str, Json]:
    return reference_make.compute()


@pytest.mark.parametrize("name", FILES)
def test_the_reference_computes_what_is_frozen(computed: dict[str, Json], name: str) -> None:
    assert json.loads(json.dumps(computed[name])) == load(name)


def test_the_reference_imports_nothing_of_mobium() -> None:
    text = Path(reference_make.FOLDER / "reference.py").read_text()
    imports = [line for line in text.splitlines() if line.startswith(("import ", "from "))]
    assert imports
    assert not any("mobium" in line for line in imports)


@pytest.mark.parametrize("case", load("identity")["cases"])
def test_identity(case: Json) -> None:
    assert words_from_entropy(bytes.fromhex(case["entropy"])) == case["words"]
    assert seed_from_words(case["words"], case["passphrase"]).hex() == case["seed"]
    identity = Identity.from_words(case["words"], case["passphrase"])
    assert identity.public.hex() == case["ed"]
    assert identity.x_public.hex() == case["x"]
    assert identity.binding.hex() == case["binding"]
    assert _primitives.x25519_public(bytes.fromhex(case["x_private"])) == identity.x_public
    verify_binding(identity.public, identity.x_public, bytes.fromhex(case["binding"]))


@pytest.mark.parametrize("case", load("safety")["cases"])
def test_safety_number(case: Json) -> None:
    a, b = (tuple(bytes.fromhex(case[f"{key}_{side}"]) for key in ("ed", "x")) for side in "ab")
    assert safety_number(*a, *b) == safety_number(*b, *a) == case["number"]


@pytest.mark.parametrize("case", load("prekeys")["cases"])
def test_prekey(case: Json) -> None:
    identity = Identity.from_seed(bytes.fromhex(load("prekeys")["seed"]))
    kind = PrekeyKind(case["kind"])
    pair = make_pair(identity, kind, case["id"], case["expires"], bytes.fromhex(case["private"]))
    assert pair.prekey.public.hex() == case["public"]
    assert pair.prekey.signature.hex() == case["signature"]
    verify_prekey(identity.public, kind, pair.prekey, case["expires"])


class Agreement:
    """One case of pqxdh.json, as the two sides of mobium hold it; also the responder's prekey source."""

    def __init__(self, case: Json) -> None:
        self.case = case
        self.initiator = Identity.from_seed(bytes.fromhex(case["initiator_seed"]))
        self.responder = Identity.from_seed(bytes.fromhex(case["responder_seed"]))
        self.kem_kind = KEM_KINDS[case["kem_kind"]]
        self.pairs: dict[PrekeyKind, PrekeyPair] = {
            PrekeyKind.SIGNED: self._pair(PrekeyKind.SIGNED, case["signed"]),
            self.kem_kind: self._pair(self.kem_kind, case["kem"]),
        }
        if case["one_time"]:
            self.pairs[PrekeyKind.ONE_TIME] = self._pair(PrekeyKind.ONE_TIME, case["one_time"])

    def _pair(self, kind: PrekeyKind, key: Json) -> PrekeyPair:
        return make_pair(self.responder, kind, key["id"], PREKEY_EXPIRES, bytes.fromhex(key["private"]))

    def private(self, kind: PrekeyKind, prekey_id: int, /) -> PrekeyPair | None:
        pair = self.pairs.get(kind)
        return pair if pair is not None and pair.prekey.id == prekey_id else None

    def bundle(self) -> Bundle:
        b, one_time = self.responder, self.pairs.get(PrekeyKind.ONE_TIME)
        return Bundle(
            identity=b.public,
            x_public=b.x_public,
            binding=b.binding,
            signed=self.pairs[PrekeyKind.SIGNED].prekey,
            kem=self.pairs[self.kem_kind].prekey,
            kem_kind=self.kem_kind,
            one_time=None if one_time is None else one_time.prekey,
        )

    def recorded_encapsulation(self, public: bytes) -> tuple[bytes, bytes]:
        assert public == self.pairs[self.kem_kind].prekey.public
        return bytes.fromhex(self.case["ciphertext"]), bytes.fromhex(self.case["kem_secret"])


@pytest.mark.parametrize("case", load("pqxdh")["cases"])
def test_pqxdh(case: Json, monkeypatch: pytest.MonkeyPatch) -> None:
    agreement = Agreement(case)
    header = pqxdh.read_header(bytes.fromhex(case["header"]))
    assert header.handshake.hex() == case["handshake"]
    pqxdh.check_sender(agreement.responder, header, sender=agreement.initiator.public)
    secret, associated_data, private, _ = pqxdh.respond(agreement.responder, agreement, header)
    assert secret.hex() == case["shared_secret"]
    assert associated_data.hex() == case["associated_data"]
    assert private.hex() == case["signed"]["private"]

    monkeypatch.setattr(_primitives, "kem_encapsulate", agreement.recorded_encapsulation)
    initiated = pqxdh.initiate(
        agreement.initiator, agreement.bundle(), bytes.fromhex(case["ephemeral_private"]), 1_800_000_000
    )
    assert initiated == (secret, associated_data, header.raw)


def play(monkeypatch: pytest.MonkeyPatch) -> dict[str, Session]:
    """The conversation of session.json with its recorded entropy, every payload asserted; its states."""
    vector = load("session")
    agreement = Agreement(vector["handshake"])
    entropy = {name: bytes.fromhex(value) for name, value in vector["entropy"].items()}
    messages = [{name: bytes.fromhex(value) for name, value in m.items()} for m in vector["messages"]]
    texts = [message["plaintext"] for message in messages]
    now = vector["now"]
    drawn: list[bytes] = []

    def urandom(size: int) -> bytes:
        value = drawn.pop(0)
        assert len(value) == size
        return value

    monkeypatch.setattr(session, "urandom", urandom)
    monkeypatch.setattr(_primitives, "kem_encapsulate", agreement.recorded_encapsulation)

    def send(sender: Session, index: int) -> Session:
        drawn.append(messages[index]["salt"])
        payload, following = sender.encrypt(texts[index])
        assert payload == messages[index]["payload"]
        return following

    drawn += [bytes.fromhex(vector["handshake"]["ephemeral_private"]), entropy["initiator 0"]]
    a = Session.initiate(agreement.initiator, agreement.bundle(), now=now)
    states = {"initiated": a}
    a = send(send(a, 0), 1)
    drawn.append(entropy["responder 1"])
    text, b, _ = Session.accept(agreement.responder, agreement, messages[0]["payload"], now=now)
    assert text == texts[0]
    text, b = b.decrypt(messages[1]["payload"], now=now)
    assert text == texts[1]
    b = send(b, 2)
    states["unanswered"] = a
    drawn.append(entropy["initiator 1"])
    text, a = a.decrypt(messages[2]["payload"], now=now)
    assert text == texts[2]
    a = send(send(a, 3), 4)
    drawn.append(bytes(32))
    text, b = b.decrypt(messages[4]["payload"], now=now)
    assert text == texts[4]
    assert drawn == []
    return states | {"initiator": a, "responder": b}


@pytest.mark.parametrize("backend", BACKENDS)
def test_session(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with stepping(backend):
        states = play(monkeypatch)
        assert {name: state.to_bytes().hex() for name, state in states.items()} == load("session")["states"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_frozen_session_is_loaded_and_goes_on(backend: str) -> None:
    vector = load("session")
    states = {name: bytes.fromhex(state) for name, state in vector["states"].items()}
    with stepping(backend):
        a, b = Session.from_bytes(states["initiator"]), Session.from_bytes(states["responder"])
        left_behind = bytes.fromhex(vector["messages"][3]["payload"])
        assert b.knows(left_behind)
        text, b = b.decrypt(left_behind)
        assert text.hex() == vector["messages"][3]["plaintext"]
        payload, b = b.encrypt(b"onwards")
        assert a.decrypt(payload)[0] == b"onwards"
        unanswered = Session.from_bytes(states["unanswered"])
        assert unanswered.unanswered
        assert unanswered.header is not None
        assert unanswered.header.hex() == vector["handshake"]["header"]
        answer = bytes.fromhex(vector["messages"][2]["payload"])
        assert unanswered.decrypt(answer)[1].unanswered is False


def test_a_stored_session_begins_with_its_fields() -> None:
    vector = load("session")
    a, b = (vector["handshake"][f"{who}_seed"] for who in ("initiator", "responder"))
    alice, bob = Identity.from_seed(bytes.fromhex(a)), Identity.from_seed(bytes.fromhex(b))
    handshake = bytes.fromhex(vector["handshake"]["handshake"])
    header = bytes.fromhex(vector["handshake"]["header"])
    begins = {
        "initiated": b"\1\3" + bob.public + bob.x_public + handshake + header,
        "unanswered": b"\1\3" + bob.public + bob.x_public + handshake + header,
        "initiator": b"\1\1" + bob.public + bob.x_public + handshake,
        "responder": b"\1\0" + alice.public + alice.x_public + handshake,
    }
    assert begins.keys() == vector["states"].keys()
    for name, begin in begins.items():
        assert bytes.fromhex(vector["states"][name]).startswith(begin)


@pytest.mark.parametrize("case", load("vault")["cases"])
def test_vault(case: Json, tmp_path: Path) -> None:
    salt, first, second = (bytes.fromhex(value) for value in (case["salt"], *case["nonces"]))
    data_key, seed = bytes.fromhex(case["data_key"]), bytes.fromhex(case["seed"])
    sealed = vault._seal(case["password"], data_key, seed, salt=salt, nonces=(first, second))
    assert sealed.hex() == case["vault"]
    (tmp_path / "vault").write_bytes(bytes.fromhex(case["vault"]))
    identity, opened = vault.open(tmp_path / "vault", case["password"])
    assert (identity.seed, opened) == (seed, data_key)
    assert vault.database_key(data_key).hex() == case["database_key"]


@pytest.mark.parametrize("channel", load("roster")["channels"])
def test_roster(channel: Json) -> None:
    raws = [bytes.fromhex(case["statement"]) for case in channel["statements"]]
    channel_id = protocol.channel_id_of(raws[0])
    assert channel_id.hex() == channel["channel_id"]
    roster = protocol.Roster.begin(raws[0])
    for index, (raw, case) in enumerate(zip(raws, channel["statements"], strict=True)):
        said = protocol.parse(raw)
        signer = SigningKey.from_seed(bytes.fromhex(case["seed"]))
        place = (said.kind, said.channel_id, index, said.prev, said.subject, case["time_ms"], said.data)
        assert protocol.build(signer, *place) == raw
        roster = roster.append(raw) if index else roster
        assert (roster.channel_id, roster.index, roster.head.hex()) == (channel_id, index, case["head"])
        assert roster.heads[index] == roster.head
        assert [[ed.hex(), role] for ed, role in roster.members.items()] == case["members"]
        if "secret" not in case:
            continue
        secret, nonce = bytes.fromhex(case["secret"]), bytes.fromhex(case["nonce"])
        in_force = secret if roster.access is protocol.Access.OPEN else invite.invite_key(secret).public
        assert roster.key == in_force
        names = (case["name"], case["topic"])
        assert invite.seal_names(secret, *names, signer.public, index, nonce) == roster.sealed
        assert invite.open_names(secret, roster.sealed, roster.sealed_by, roster.sealed_index) == names
    assert protocol.Roster.load(raws, verify=False) == roster == protocol.Roster.load(raws)


@pytest.mark.parametrize("channel", load("roster")["channels"])
def test_peek(channel: Json) -> None:
    peek = {name: bytes.fromhex(value) for name, value in channel["peek"].items()}
    signed = protocol.peek_input(bytes.fromhex(channel["channel_id"]), peek["ed"], peek["nonce"])
    verify(invite.invite_key(peek["secret"]).public, peek["proof"], signed)
