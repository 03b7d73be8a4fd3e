"""Layers of transformers: of encoders (also for images), and of decoders over all their steps.

Matrices have biases, layers their norms. What is `inner` wide are queries, keys and values.
"""

import re
from dataclasses import dataclass
from typing import ClassVar, Self

from harness.spaces.block import Block

DECODING = ("decoder", "vocabulary")
"""Kinds of blocks that go on step by step."""
COLD = 24 * 2**20
"""Parameters that no cache holds: 96 MiB in float32, three times the last of most computers."""


class Transformer(Block):
    """A kind of block whose fields are whole numbers, each with letters in its key."""

    __slots__ = ()
    letters: ClassVar[tuple[str, ...]]

    @property
    def kind(self) -> str:
        return self.kinds[0]

    @property
    def key(self) -> str:
        kind, *numbers = self.order
        pairs = zip(self.letters, numbers, strict=True)
        return "-".join([kind, *(f"{letter}{number}" for letter, number in pairs)])

    @classmethod
    def of_key(cls, key: str) -> Self | None:
        numbers = (rf"{letter}([0-9]{{1,9}})" for letter in cls.letters)
        match = re.fullmatch("-".join([cls.kinds[0], *numbers]), key)
        return None if match is None else cls(*map(int, match.groups()))

    @property
    def stage(self) -> str | None:
        return None


@dataclass(frozen=True, slots=True)
class Patches(Transformer):
    """An image cut into squares, each a token; a class token before them, positions added."""

    kinds: ClassVar = ("patches",)
    letters: ClassVar = ("s", "c", "p", "e")

    pixels: int  # height and width
    channels: int
    patch: int  # height and width, pixels
    embed: int

    @property
    def tokens(self) -> int:
        return (self.pixels // self.patch) ** 2 + 1

    @property
    def input_shape(self) -> tuple[int, int, int]:
        return self.channels, self.pixels, self.pixels

    @property
    def output_shape(self) -> tuple[int, int]:
        return self.tokens, self.embed

    @property
    def macs(self) -> int:
        return (self.tokens - 1) * self.patch**2 * self.channels * self.embed

    @property
    def params(self) -> int:
        return (self.patch**2 * self.channels + 2 + self.tokens) * self.embed

    @property
    def peak_activations(self) -> int:
        return self.channels * self.pixels**2 + self.tokens * self.embed


@dataclass(frozen=True, slots=True)
class EncoderLayer(Transformer):
    """Self-attention and a feed-forward network, each with a norm and its input added.

    `reach`: of learned relative positions (AutoFormer's: two tables each for keys and values,
    vertical and horizontal, shared by the heads); 0 for none.
    """

    kinds: ClassVar = ("encoder",)
    letters: ClassVar = ("t", "e", "q", "h", "f", "r")

    tokens: int
    embed: int
    inner: int
    heads: int
    ffn: int
    reach: int = 0

    @property
    def input_shape(self) -> tuple[int, int]:
        return self.tokens, self.embed

    @property
    def output_shape(self) -> tuple[int, int]:
        return self.input_shape

    @property
    def macs(self) -> int:
        """Without those of relative positions, which implementations gather in different ways."""
        matrices = self.embed * (4 * self.inner + 2 * self.ffn)
        return self.tokens * (matrices + 2 * self.tokens * self.inner)

    @property
    def params(self) -> int:
        tables = 4 * (2 * self.reach + 2) * (self.inner // self.heads) if self.reach else 0
        own = attention_params(self.embed, self.embed, self.inner)
        return own + ffn_params(self.embed, self.ffn) + 4 * self.embed + tables

    @property
    def peak_activations(self) -> int:
        """Where scores are made, or inside the feed-forward network."""
        attending = 3 * self.tokens * self.inner + self.heads * self.tokens**2
        return self.tokens * self.embed + max(attending, self.tokens * (self.embed + self.ffn))

    @property
    def stage(self) -> str | None:
        return f"{self.kind}-e{self.embed}"


@dataclass(frozen=True, slots=True)
class DecoderLayer(Transformer):
    """A layer of a decoder over all steps of a sentence, one token a step, keys and values kept.

    It attends to itself and to the last `cross_layers` layers of the encoder, whose keys and values
    stand side by side (HAT, section 3.1).
    """

    kinds: ClassVar = ("decoder",)
    derived: ClassVar = ("in_turn",)
    letters: ClassVar = ("n", "t", "e", "s", "q", "h", "x", "l", "f")

    steps: int
    tokens: int  # of the source
    embed: int
    source_embed: int  # of the encoder
    inner: int
    heads: int
    cross_heads: int
    cross_layers: int
    ffn: int

    @property
    def input_shape(self) -> tuple[int, int]:
        return self.steps, self.embed

    @property
    def output_shape(self) -> tuple[int, int]:
        return self.input_shape

    @property
    def source_macs(self) -> int:
        """Of the source's keys and values, once a sentence."""
        return 2 * self.tokens * self.cross_layers * self.source_embed * self.inner

    @property
    def matrix_macs(self) -> int:
        """Of what is multiplied by weights at every step, each weight read for it."""
        return self.steps * self.embed * (6 * self.inner + 2 * self.ffn)

    @property
    def macs(self) -> int:
        """Of steps that attend to what is there: half the square that HAT's code counts."""
        to_itself = self.steps * (self.steps + 1) * self.inner
        to_source = 2 * self.steps * self.tokens * self.cross_layers * self.inner
        return self.source_macs + self.matrix_macs + to_itself + to_source

    @property
    def params(self) -> int:
        own = attention_params(self.embed, self.embed, self.inner)
        cross = attention_params(self.embed, self.source_embed, self.inner)
        return own + cross + ffn_params(self.embed, self.ffn) + 6 * self.embed

    @property
    def in_turn(self) -> int:
        """So many that none finds its weights in a cache, as in a network, where those of all other
        layers and of the words were read since the step before; a divisor of the steps."""
        divisors = (n for n in range(1, self.steps) if self.steps % n == 0)
        return next((n for n in divisors if n * self.params >= COLD), self.steps)

    @property
    def peak_activations(self) -> int:
        """At the last step: keys and values that are kept, and one token's feed-forward network."""
        kept = 2 * self.inner * (self.steps + self.tokens * self.cross_layers)
        return kept + 2 * self.embed + self.ffn

    @property
    def stage(self) -> str | None:
        return f"{self.kind}-e{self.embed}"


@dataclass(frozen=True, slots=True)
class Vocabulary(Transformer):
    """The matrix behind a decoder that gives every word a score, at every step; no bias."""

    kinds: ClassVar = ("vocabulary",)
    letters: ClassVar = ("n", "e", "w")

    steps: int
    embed: int
    words: int

    @property
    def input_shape(self) -> tuple[int, int]:
        return self.steps, self.embed

    @property
    def output_shape(self) -> tuple[int, int]:
        return self.steps, self.words

    @property
    def macs(self) -> int:
        return self.steps * self.embed * self.words

    @property
    def params(self) -> int:
        """Those of the embeddings, too: they are shared."""
        return self.embed * self.words

    @property
    def peak_activations(self) -> int:
        return self.embed + self.words


@dataclass(frozen=True, slots=True)
class TokenClassifier(Transformer):
    """A norm, and a linear classifier of one token or of their mean."""

    kinds: ClassVar = ("classifier",)
    letters: ClassVar = ("t", "e", "c")

    tokens: int
    embed: int
    classes: int

    @property
    def input_shape(self) -> tuple[int, int]:
        return self.tokens, self.embed

    @property
    def output_shape(self) -> tuple[int]:
        return (self.classes,)

    @property
    def macs(self) -> int:
        return self.embed * self.classes

    @property
    def params(self) -> int:
        return 2 * self.embed + (self.embed + 1) * self.classes

    @property
    def peak_activations(self) -> int:
        return 2 * self.tokens * self.embed


def attention_params(embed: int, source_embed: int, inner: int) -> int:
    """Queries and output of the own width, keys and values of the source's; all with biases."""
    return (2 * embed + 2 * source_embed + 3) * inner + embed


def ffn_params(embed: int, ffn: int) -> int:
    return (2 * embed + 1) * ffn + embed
