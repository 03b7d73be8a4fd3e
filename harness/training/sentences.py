"""Sentences and their translations to train and judge on, as numbers of parts of words.

A vocabulary of both languages is made of the training pairs (byte-pair encoding, Sennrich et al.,
ACL 2016). Judged is by BLEU (Papineni et al., ACL 2002) of what a network translates word by word.
"""

import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.errors import FileFormatError
from harness.hints import missing
from harness.networks.file import NetworkFile
from harness.supernet.translating import NOTHING, embedded
from harness.training.catalogues import Pair
from harness.training.draws import Draw
from harness.training.judging import Answers, Floats

BEGIN, END, UNKNOWN = 0, 1, 2  # numbers of words that are none
SHARE = 12  # one pair in so many is held out: half of these choose between networks, half judge
FEWEST = 2000  # pairs
_SPACE = "\u2581"  # in a vocabulary
_SPLIT = 12  # a stream of random numbers, besides those of splits.py


@dataclass(frozen=True)
class Translations:
    """Sentences that networks are judged by."""

    sentences: Tensor  # [n, tokens], numbers of words
    references: tuple[str, ...]  # [n], how they were translated
    vocabulary: tuple[str, ...]

    @property
    def labels(self) -> Answers:
        """As many numbers as answers have; what is judged are texts, not these."""
        return np.zeros(self.sentences.shape, np.int64)

    @property
    def originals(self) -> Answers:
        """Each is its own, [n]."""
        return np.arange(len(self.references))

    def inputs(self, network: NetworkFile) -> Floats:
        """What the network takes, [n, tokens, embed]."""
        assert network.source is not None
        return np.asarray(embedded(self.sentences, network.source).numpy())

    def answers(self, logits: Floats) -> Answers:
        """The best word at each step, [n, steps]."""
        scores = logits.reshape(*self.sentences.shape, len(self.vocabulary))
        return np.asarray(scores.argmax(-1), dtype=np.int64)

    def bleu(self, words: Answers) -> float:
        """Of translations [n, steps], 0 to 100."""
        return float(_bleu().corpus_score(self._texts(words), [self.references]).score)

    def judged(self, words: Answers) -> tuple[float, tuple[float, float]]:
        """BLEU and its 95 % interval, by bootstrap over sentences (Koehn, EMNLP 2004)."""
        found = _bleu().corpus_score(self._texts(words), [self.references], n_bootstrap=1000)
        low, high = found._mean - found._ci, found._mean + found._ci
        return float(found.score), (max(0.0, float(low)), min(100.0, float(high)))

    def _texts(self, words: Answers) -> list[str]:
        return [in_words(row, self.vocabulary) for row in words]


@dataclass(frozen=True)
class Sentences:
    """A data set of pairs, all that end within `tokens` words; an ImageData without images."""

    sources: Tensor  # [n, tokens], numbers of words; behind the end the end again
    targets: Tensor  # [n, tokens], behind the end NOTHING
    validation: Translations
    test: Translations
    classes: tuple[str, ...]  # the vocabulary
    facts: dict[str, Any] = field(default_factory=dict)
    channels: int = 0
    mean: float = 0.0
    std: float = 1.0

    @classmethod
    def of(cls, pairs: Sequence[Pair], words: int, tokens: int, seed: int = 0) -> "Sentences":
        """Split, make the vocabulary of `words` entries, and cut; the same for the same seed.

        Raises:
            MissingExtra: sentencepiece or sacrebleu is not installed.
            FileFormatError: there are too few pairs.
        """
        if len(pairs) < FEWEST:
            raise FileFormatError(f"{len(pairs)} pairs of texts; at least {FEWEST} are needed")
        _bleu()  # missing now rather than after training
        order = np.random.default_rng([seed, _SPLIT]).permutation(len(pairs))
        mixed, held = [pairs[i] for i in order], len(pairs) // SHARE
        encoder = _vocabulary([text for pair in mixed[held:] for text in pair], words)
        vocabulary = tuple(encoder.id_to_piece(range(words)))

        def coded(part: Sequence[Pair]) -> tuple[Tensor, Tensor, tuple[str, ...]]:
            """Of those that are short enough: numbers, and translations as texts."""
            both = [encoder.encode(list(texts)) for texts in zip(*part, strict=True)]
            fits = [
                i for i, row in enumerate(zip(*both, strict=True)) if max(map(len, row)) < tokens
            ]
            sources, targets = (
                torch.tensor([_filled(side[i], tokens, rest) for i in fits])
                for side, rest in zip(both, (END, NOTHING), strict=True)
            )
            return sources, targets, tuple(part[i][1] for i in fits)

        def judges(part: Sequence[Pair]) -> Translations:
            sources, _, references = coded(part)
            return Translations(sources, references, vocabulary)

        sources, targets, _ = coded(mixed[held:])
        digest = hashlib.sha256("\n".join(map("\t".join, [*pairs, vocabulary])).encode())
        facts = {"pairs": len(sources), "sha256": digest.hexdigest()}
        validation, test = judges(mixed[: held // 2]), judges(mixed[held // 2 : held])
        return cls(sources, targets, validation, test, vocabulary, facts)

    @property
    def count(self) -> int:
        return len(self.sources)

    def stream(self, draws: Iterable[Draw]) -> Iterator[tuple[Tensor, Tensor]]:
        """For each draw sentences and what is there of their translations before each word,
        [n, 2, tokens], and the words, one below the other, [all words]."""
        for draw in draws:
            chosen = torch.from_numpy(draw.indices)
            sources, targets = self.sources[chosen], self.targets[chosen]
            before = torch.cat([torch.full_like(targets[:, :1], BEGIN), targets[:, :-1]], 1)
            before[targets == NOTHING] = NOTHING
            yield torch.stack([sources, before], 1), targets[targets != NOTHING]

    def calibration(self, _resolution: int) -> list[Tensor]:
        """No statistics are made of them."""
        return []

    def judges(self, _resolution: int) -> list[tuple[Tensor, Tensor]]:
        """None: what is judged is what a network goes on to say, not one answer."""
        return []

    def tests(self, _resolution: int) -> Translations:
        """Those that neither training nor any choice has seen."""
        return self.test


def in_words(numbers: Iterable[int], vocabulary: Sequence[str]) -> str:
    """The text that numbers of words make, up to its end."""
    parts = []
    for number in numbers:
        if number == END:
            break
        parts.append(vocabulary[number])
    return "".join(parts).replace(_SPACE, " ").strip()


def _filled(words: list[int], tokens: int, rest: int) -> list[int]:
    return [*words, END, *[rest] * (tokens - len(words) - 1)]


def _vocabulary(texts: list[str], words: int) -> Any:
    """What turns texts into numbers of words."""
    try:
        import sentencepiece
    except ImportError as error:
        raise missing("translating is learned with", "sentencepiece", "translation") from error
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_writer=model,
            model_type="bpe",
            vocab_size=words,
            character_coverage=1.0,
            bos_id=BEGIN,
            eos_id=END,
            unk_id=UNKNOWN,
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:  # they have too many letters, or too few words
        raise FileFormatError(
            f"the texts give no vocabulary of {words} entries: {error}"
        ) from error
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


def _bleu() -> Any:
    """As `sacrebleu` counts, by words."""
    try:
        from sacrebleu.metrics.bleu import BLEU
    except ImportError as error:
        raise missing("translating is learned with", "sacrebleu", "translation") from error
    return BLEU()
