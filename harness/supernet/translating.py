"""The supernet of a space of translators: it learns from whole translations at once."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.spaces.arch import Arch
from harness.spaces.space import Space
from harness.spaces.transformer import DecoderLayer, EncoderLayer
from harness.spaces.translation import TranslationSpace
from harness.supernet.elastic_transformer import ElasticVocabulary
from harness.supernet.supernet import Supernet

NOTHING = -1  # the number of no word
SPREAD = 0.6  # of embeddings at first, as of positions in `networks.layers.Patches`


class TranslatingSupernet(Supernet):
    """Beside the layers of its space it has the embeddings of the source's words and positions,
    which no block holds."""

    def __init__(self, space: TranslationSpace) -> None:
        super().__init__(space)
        rows = space.classes + max(space.resolutions)
        self.source = nn.Parameter(SPREAD * torch.randn(rows, space.embeds[-1]))
        scores = self.layers[-1]
        assert isinstance(scores, ElasticVocabulary)
        nn.init.normal_(scores.largest.weight, std=space.embeds[-1] ** -0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Scores of the words of translations, one below the other, [all words, vocabulary].

        Given numbers of words [n, 2, tokens]: sentences, and the words before each word of their
        translations, behind whose ends nothing (NOTHING) is scored.
        """
        (_, first), *_, (last, words) = self.active
        scores, encoded = self.layers[last], []
        assert isinstance(scores, ElasticVocabulary)
        source = embedded(x[:, 0], self.source[:, : first.input_shape[1]])
        there = x[:, 1] != NOTHING
        target = scores.embedded(x[:, 1] * there, words.input_shape[1])
        for place, block in self.active:
            if isinstance(block, EncoderLayer):
                source = self.layers[place](source, block)
                encoded.append(source)
            elif isinstance(block, DecoderLayer):
                target = self.layers[place](target, block, encoded)
        found: Tensor = scores(target[there], words)
        return found

    def source_of(self, arch: Arch) -> Tensor:
        """Embeddings that a sub-network's sources are made of: of the words, then of positions,
        [words + tokens, embed]."""
        (width,) = arch.part("encoder_embed")
        return self.source[:, : int(width)].detach().clone()


def embedded(words: Tensor, source: Tensor) -> Tensor:
    """What a translator takes, [n, tokens, embed], for numbers of words [n, tokens]."""
    first = len(source) - words.shape[1]
    return F.embedding(words, source) + source[first:]


def supernet_of(space: Space) -> Supernet:
    """A new one, with torch's random initial weights."""
    if isinstance(space, TranslationSpace):
        return TranslatingSupernet(space)
    return Supernet(space)
