"""Recovery words (docs/CRYPTO.md section 1): BIP39's published vectors, and what a mistyped word is told."""

from __future__ import annotations

import sys
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mobium.crypto import mnemonic
from mobium.crypto.mnemonic import check_words, nearest, seed_from_words, words_from_entropy
from mobium.errors import InvalidInput, RecoveryError

PUBLISHED = {  # the 24-word English ones among BIP39's test vectors, without those in identity.json
    "7f" * 32: "legal winner thank year wave sausage worth useful " * 2
    + "legal winner thank year wave sausage worth title",
    "80" * 32: "letter advice cage absurd amount doctor acoustic avoid " * 2
    + "letter advice cage absurd amount doctor acoustic bless",
    "68a79eaca2324873eacc50cb9c6eca8cc68ea5d936f98787c60c7ebc74e6ce7c": (
        "hamster diagram private dutch cause delay private meat slide toddler razor book "
        "happy fancy gospel tennis maple dilemma loan word shrug inflict delay length"
    ),
    "9f6a2878b2520799a44ef18bc7df394e7061a224d2c33cd015b157d746869863": (
        "panda eyebrow bullet gorilla call smoke muffin taste mesh discover soft ostrich "
        "alcohol speed nation flash devote level hobby quick inner drive ghost inside"
    ),
    "066dca1a2bb7e8a1db2832148ce9933eea0f3ac9548d793112d9a95c9407efad": (
        "all hour make first leader extend hole alien behind guard gospel lava path output "
        "census museum junior mass reopen famous sing advance salt reform"
    ),
}
WORDS = PUBLISHED["066dca1a2bb7e8a1db2832148ce9933eea0f3ac9548d793112d9a95c9407efad"]
SEED = (
    "26e975ec644423f4a4c4f4215ef09b4bd7ef924e85d1d17c4cf3f136c2863cf6"
    "df0a475045652c57eb5fb41513ca2a2d67722b77e954b4b3fc11f7590449191d"
)
LIST = mnemonic._english().wordlist


def replaced(position: int, word: str) -> str:
    words = WORDS.split()
    words[position - 1] = word
    return " ".join(words)


@pytest.mark.parametrize(("entropy", "words"), PUBLISHED.items())
def test_published_words(entropy: str, words: str) -> None:
    assert words_from_entropy(bytes.fromhex(entropy)) == words
    assert check_words(words) == words


def test_a_published_seed() -> None:
    assert seed_from_words(WORDS, "TREZOR").hex() == SEED


@given(st.binary(min_size=32, max_size=32))
def test_every_entropy_gives_words_that_check(entropy: bytes) -> None:
    words = words_from_entropy(entropy)
    assert len(words.split(" ")) == 24
    assert check_words(words.upper().replace(" ", " \n ")) == words


@pytest.mark.parametrize("form", ["{}. {}", "{}.{}", "{:2}) {}", "{} {}", "({}) {}", "{}:\t{}", "#{} {}"])
@pytest.mark.parametrize("columns", [1, 4])
def test_numbers_in_front_of_the_words_may_stay(form: str, columns: int) -> None:
    listed = [form.format(number, word) for number, word in enumerate(WORDS.split(), 1)]
    rows = 24 // columns
    lines = ["   ".join(listed[row::rows]) for row in range(rows)]  # down the columns, as they are shown
    assert check_words("\n".join(lines)) == WORDS


def test_numbers_that_are_not_1_to_24_change_no_order() -> None:
    words = WORDS.split()
    assert check_words("1. " + WORDS) == WORDS
    assert (
        check_words(
            " ".join(f"{24 - place}. {word}" for place, word in enumerate(words[:23])) + " " + words[23]
        )
        == WORDS
    )
    with pytest.raises(RecoveryError, match="here are 23"):
        check_words(" ".join(f"{place}. {word}" for place, word in enumerate(words[:23], 1)) + " 24.")
    with pytest.raises(RecoveryError, match="Word 3 is not"):
        check_words(replaced(3, "123"))


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_entropy_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(InvalidInput, match=f"32 bytes of entropy, not {size}"):
        words_from_entropy(bytes(size))


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("leadr", "leader"),
        ("laeder", "ladder"),
        ("leaderr", "leader"),
        ("extand", "extend"),
        ("museun", "museum"),
        ("advanec", "advance"),
        ("goszel", "gospel"),
        ("reopn", "reopen"),
        ("fam0us", "famous"),
        ("abst", "abstract"),  # four letters name a word, though "best" is nearer by edits
        ("strat", "strategy"),
        ("x", "box"),
    ],
)
def test_the_nearest_word(typed: str, meant: str) -> None:
    assert nearest(typed)[0] == meant


@pytest.mark.parametrize("position", [1, 12, 24])
def test_a_mistyped_word_is_named_by_its_place(position: int) -> None:
    meant = WORDS.split()[position - 1]
    typed = meant + "q"
    with pytest.raises(RecoveryError) as caught:
        check_words(replaced(position, typed))
    assert str(caught.value) == f'Word {position} is not one of the recovery words; did you mean "{meant}"?'


def test_each_of_several_mistyped_words_is_named() -> None:
    words = WORDS.replace("leader", "leadre").replace("museum", "musuem")
    with pytest.raises(RecoveryError) as caught:
        check_words(words)
    assert "Word 5 " in str(caught.value)
    assert '"leader"' in str(caught.value)
    assert "Word 16 " in str(caught.value)
    assert '"museum"' in str(caught.value)


def test_among_equally_near_words_the_one_that_fits_the_checksum_is_suggested() -> None:
    assert nearest("haur") == ["hair", "hour"]
    with pytest.raises(RecoveryError, match=r'Word 2 .*"hour"'):
        check_words(replaced(2, "haur"))


@given(position=st.integers(1, 24), edit=st.integers(0, 3), data=st.data())
def test_one_slip_of_the_finger_is_named_and_mended_within_one_edit(
    position: int, edit: int, data: st.DataObject
) -> None:
    word = WORDS.split()[position - 1]
    at = data.draw(st.integers(0, len(word) - 1))
    letter = data.draw(st.sampled_from("abcdefghijklmnopqrstuvwxyz"))
    typed = (
        word[:at] + word[at + 1 :],
        word[:at] + letter + word[at:],
        word[:at] + letter + word[at + 1 :],
        word[:at] + word[at : at + 2][::-1] + word[at + 2 :],
    )[edit]
    assume(typed and typed not in LIST)
    with pytest.raises(RecoveryError) as caught:
        check_words(replaced(position, typed))
    suggested = str(caught.value).split('"')[1]
    assert str(caught.value).startswith(f"Word {position} is not")
    assert suggested in LIST
    assert suggested == word or suggested.startswith(typed) or mnemonic._distance(typed, suggested) <= 1


@pytest.mark.parametrize("count", [0, 1, 12, 23])
def test_too_few_words(count: int) -> None:
    with pytest.raises(RecoveryError, match=f"There must be 24 recovery words, and here are {count}"):
        check_words(" ".join(WORDS.split()[:count]))


def test_too_many_words() -> None:
    with pytest.raises(RecoveryError, match="here are 25"):
        check_words(WORDS + " zoo")


def test_two_words_run_together_are_told_as_both_problems() -> None:
    with pytest.raises(RecoveryError, match=r"Word 2 .*here are 23"):
        check_words(WORDS.replace("hour make", "hourmake"))


def with_one_word_exchanged(random: Random, count: int) -> list[str]:
    return [
        replaced(position + 1, random.choice([word for word in LIST if word != WORDS.split()[position]]))
        for position in (random.randrange(24) for _ in range(count))
    ]


def refusal(words: str) -> str | None:
    try:
        check_words(words)
    except RecoveryError as error:
        return str(error)
    return None


def test_words_that_exist_but_do_not_belong_together(seed: int) -> None:
    """One word in 256 exchanged ones passes by chance, as BIP39 has eight bits of checksum here."""
    random = Random(seed)
    refusals = [refusal(words) for words in with_one_word_exchanged(random, 100)]
    assert sum(text is None for text in refusals) < 10
    assert {text for text in refusals if text} == {refusal(replaced(1, "zoo"))}
    assert "together" in str(refusal(replaced(1, "zoo")))


def test_words_that_changed_places_do_not_belong_together() -> None:
    words = WORDS.split()
    words[2], words[3] = words[3], words[2]
    with pytest.raises(RecoveryError, match="changed places"):
        check_words(" ".join(words))


def test_no_error_repeats_what_was_typed() -> None:
    for words in (replaced(3, "secretive"), "secretive " + WORDS, WORDS + " secretive"):
        with pytest.raises(RecoveryError) as caught:
            check_words(words)
        assert "secretive" not in str(caught.value)
        assert "alien" not in str(caught.value)


def test_a_long_paste_is_answered_quickly() -> None:
    with pytest.raises(RecoveryError, match="here are 5001"):
        check_words("zzz" * 10_000 + " qq" * 5000)


def test_without_the_package_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    mnemonic._english.cache_clear()
    monkeypatch.setitem(sys.modules, "mnemonic", None)
    try:
        with pytest.raises(RecoveryError, match=r"pip install 'mobium\[client\]'"):
            words_from_entropy(bytes(32))
    finally:
        mnemonic._english.cache_clear()
