"""Pairs of texts from message catalogues, as numbers of words, and BLEU of translations."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sentencepiece", reason="the extra translation is not installed")
pytest.importorskip("sacrebleu", reason="the extra translation is not installed")

from harness.errors import FileFormatError, UsageError
from harness.supernet.translating import NOTHING
from harness.training import catalogues
from harness.training.catalogues import find_catalogues, read_pairs
from harness.training.draws import Draw
from harness.training.sentences import BEGIN, END, SHARE, Sentences, in_words
from tests.catalogues import pairs, write_catalogue
from tests.command_line import harness

TOKENS, WORDS = 12, 200


@pytest.fixture(scope="module")
def data() -> Sentences:
    return Sentences.of(sorted(pairs().items()), WORDS, TOKENS)


def test_texts_are_read_without_contexts_mnemonics_plurals_and_what_stays_as_it_is(
    tmp_path: Path,
) -> None:
    texts = {
        "menu|open\x04_Open file": "Datei öffn_en",
        "other\x04~Open  file": "Öffne Datei",  # the same text again
        "one file\0%1 files": "eine Datei\0%1 Dateien",
        "name\x04OpenDocument": "OpenDocument",
        "%1 x %2": "%1 mal %2",
        "snake_case name": "Name in snake_case",
    }
    write_catalogue(tmp_path / "sw.mo", texts)
    assert read_pairs([tmp_path / "sw.mo"]) == [
        ("Open file", "Datei öffnen"),
        ("snakecase name", "Name in snakecase"),
    ]


def test_a_broken_catalogue_is_named(tmp_path: Path) -> None:
    whole = tmp_path / "sw.mo"
    write_catalogue(whole, pairs())
    content = whole.read_bytes()
    for broken in (b"", b"no catalogue", content[:100], content[:-40]):
        whole.write_bytes(broken)
        with pytest.raises(FileFormatError, match=r"sw\.mo is no message catalogue"):
            read_pairs([whole])


def test_who_has_no_catalogues_is_told_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogues, "INSTALLED", Path("/nowhere/LC_MESSAGES"))
    with pytest.raises(UsageError, match=r"apt-get download .* dpkg -x .* .*libreoffice-l10n-de"):
        find_catalogues(tmp_path)
    there = tmp_path / "libreoffice-l10n-de/nowhere/LC_MESSAGES/sw.mo"
    write_catalogue(there, {})
    assert find_catalogues(tmp_path) == [there]


def test_nothing_that_is_judged_is_trained_on(data: Sentences) -> None:
    trained = {in_words(row.tolist(), data.classes) for row in data.sources}
    judged = [
        in_words(row.tolist(), data.classes)
        for each in (data.validation, data.test)
        for row in each.sentences
    ]
    assert len(set(judged)) == len(judged) == len(pairs()) // SHARE
    assert len(trained) == data.count == len(pairs()) - len(judged)
    assert not trained & set(judged)
    assert trained | set(judged) == set(pairs())


def test_the_same_pairs_give_the_same_data_and_others_are_told_from_them(data: Sentences) -> None:
    again = Sentences.of(sorted(pairs().items()), WORDS, TOKENS)
    assert again.facts == data.facts
    assert again.sources.equal(data.sources)
    changed = sorted((pairs() | {"Open one red table here now": "Nein"}).items())
    assert Sentences.of(changed, WORDS, TOKENS).facts != data.facts


def test_each_word_is_trained_on_with_what_is_there_before_it(data: Sentences) -> None:
    ((given, words),) = data.stream([Draw(np.array([3, 7]), TOKENS, 0)])
    assert given.shape == (2, 2, TOKENS)
    assert given[:, 0].equal(data.sources[[3, 7]])
    start = 0
    for (source, before), target in zip(given.tolist(), data.targets[[3, 7]].tolist(), strict=True):
        text = in_words(source, data.classes)
        assert in_words(target, data.classes) == pairs()[text]
        count = target.index(END) + 1
        assert before[:count] == [BEGIN, *target[: count - 1]]
        assert set(before[count:]) | set(target[count:]) <= {NOTHING}
        assert words[start : start + count].tolist() == target[:count]
        start += count
    assert start == len(words)


def test_bleu_is_that_of_whole_texts_with_an_interval_around_it(data: Sentences) -> None:
    order = [in_words(row.tolist(), data.classes) for row in data.test.sentences]
    assert [pairs()[text] for text in order] == list(data.test.references)
    right = np.full((len(order), 60), END)  # letter by letter
    for row, text in zip(right, data.test.references, strict=True):
        letters = [data.classes.index(letter) for letter in text.replace(" ", "\u2581")]
        row[: len(letters)] = letters
    assert data.test.judged(right)[0] == pytest.approx(100)
    half = right.copy()
    half[::2] = END
    bleu, (low, high) = data.test.judged(half)
    assert 5 < low < bleu < high < 90
    assert bleu == data.test.bleu(half)


def test_too_few_pairs_are_refused() -> None:
    with pytest.raises(FileFormatError, match="100 pairs of texts; at least"):
        Sentences.of(sorted(pairs().items())[:100], WORDS, TOKENS)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("train --space hat-small --data .", 2, "hat-small is of sentences"),
        ("train --space hat-small --distill 1", 2, "hat-small is of sentences"),
        ("train --space hat-small", 2, "apt-get download libreoffice-l10n-de"),
        ("measure --space hat-small --resolutions 20", 2, "no resolution 20; it has 12"),
    ],
)
def test_what_cannot_be_trained_is_one_line(
    tmp_path: Path, words: str, code: int, said: str
) -> None:
    ended = harness(tmp_path, *words.split())
    if "apt-get" in said and catalogues.INSTALLED.exists():
        pytest.skip("LibreOffice is installed here in German")
    assert ended.returncode == code
    assert said in " ".join(ended.stderr.split())
