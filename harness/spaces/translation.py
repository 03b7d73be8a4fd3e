"""Encoder-decoder transformers for translation: HAT's spaces (Wang et al., ACL 2020)."""

from dataclasses import dataclass
from functools import cached_property

from harness.spaces.arch import Number
from harness.spaces.space import Gene, Place, Space
from harness.spaces.transformer import DecoderLayer, EncoderLayer, Transformer, Vocabulary

_LENGTHS = (2, 200)  # tokens that a sentence may have
_EMBEDS = 2  # the column of the encoder's; the decoder's follows
_ENCODER = ("encoder_ffn", "encoder_heads")  # what layers choose, part by part
_DECODER = ("decoder_ffn", "decoder_heads", "cross_heads", "cross_layers")


@dataclass(frozen=True)
class TranslationSpace(Space[Transformer]):
    """Encoder layers, a decoder of elastic depth, the scores of words.

    A sentence has as many tokens as its translation. Encoder and decoder each choose a width, every
    layer its feed-forward network and heads, decoder layers how many of the last encoder layers
    they attend to.
    """

    name: str
    title: str
    resolutions: tuple[int, ...]  # tokens of a sentence
    classes: int  # words, parts of words
    embeds: tuple[int, ...] = (512, 640)
    ffns: tuple[int, ...] = (1024, 2048, 3072)
    heads: tuple[int, ...] = (4, 8)
    encoder_layers: int = 6
    depths: tuple[int, ...] = (1, 2, 3, 4, 5, 6)  # of the decoder
    cross_layers: tuple[int, ...] = (1, 2, 3)
    inner: int = 512
    image_channels: int = 0
    bn_eps: float = 1e-5
    released_at: tuple[int, ...] = ()
    trained: bool = False  # here, at its own lengths
    unit = "tokens"
    examples = "sentences"
    scored = "BLEU"

    @property
    def has_supernet(self) -> bool:  # type: ignore[override]
        return self.trained

    @property
    def runs_between(self) -> tuple[int, int]:
        """Sentences may be of any length, but for those that a supernet is trained on."""
        return super().runs_between if self.trained else _LENGTHS

    @cached_property
    def genes(self) -> tuple[Gene, ...]:
        choices = {
            **dict.fromkeys(("encoder_ffn", "decoder_ffn"), self.ffns),
            **dict.fromkeys(("encoder_heads", "decoder_heads", "cross_heads"), self.heads),
            "cross_layers": self.cross_layers,
        }
        encoder = [
            Gene(part, layer, choices[part])
            for part in _ENCODER
            for layer in range(self.encoder_layers)
        ]
        decoder = [
            Gene(part, layer, choices[part], 1, self._from_choice(layer))
            for part in _DECODER
            for layer in range(self.depths[-1])
        ]
        widths = [Gene(part, 0, self.embeds) for part in ("encoder_embed", "decoder_embed")]
        return (
            Gene("r", 0, self.resolutions),
            Gene("d", 0, self.depths),
            *widths,
            *encoder,
            *decoder,
        )

    def _from_choice(self, layer: int) -> int:
        """The first depth that has the layer."""
        return next(i for i, depth in enumerate(self.depths) if depth > layer)

    @cached_property
    def places(self) -> tuple[Place, ...]:
        first, layers, deepest = _EMBEDS + 2, self.encoder_layers, self.depths[-1]
        encoder = [
            Place(
                0, (0, _EMBEDS, *(first + part * layers + layer for part in range(len(_ENCODER))))
            )
            for layer in range(layers)
        ]
        first += len(_ENCODER) * layers
        decoder = [
            Place(
                1,
                (
                    *(0, _EMBEDS, _EMBEDS + 1),
                    *(first + part * deepest + layer for part in range(len(_DECODER))),
                ),
                1,
                self._from_choice(layer),
            )
            for layer in range(deepest)
        ]
        return (*encoder, *decoder, Place(None, (0, _EMBEDS + 1)))

    def block(self, place: int, values: tuple[Number, ...]) -> Transformer:
        tokens, *choices = (int(value) for value in values)
        if place < self.encoder_layers:
            embed, ffn, heads = choices
            return EncoderLayer(tokens, embed, self.inner, heads, ffn)
        if place == len(self.places) - 1:
            return Vocabulary(tokens, choices[0], self.classes)
        source, embed, ffn, heads, cross_heads, cross_layers = choices
        return DecoderLayer(
            steps=tokens,
            tokens=tokens,
            embed=embed,
            source_embed=source,
            inner=self.inner,
            heads=heads,
            cross_heads=cross_heads,
            cross_layers=cross_layers,
            ffn=ffn,
        )


def _wmt(year: int, languages: str, words: int) -> TranslationSpace:
    """HAT's space 0, for sentences of 30 tokens, as its latencies and FLOPs are."""
    title = f"HAT, WMT'{year} {languages[:2].capitalize()}-{languages[2:].capitalize()}"
    return TranslationSpace(f"hat-wmt{year}-{languages}", title, (30,), words)


# Words: entries of fairseq's dictionaries (WMT'14: joined; IWSLT: of the target). Nobody published
# how many WMT'19 has: it has 40,000 merges.
HAT_WMT14_ENDE = _wmt(14, "ende", 32768)
HAT_WMT14_ENFR = _wmt(14, "enfr", 44512)
HAT_WMT19_ENDE = _wmt(19, "ende", 40000)
HAT_IWSLT14_DEEN = TranslationSpace(
    name="hat-iwslt14-deen",
    title="HAT, IWSLT'14 De-En",
    resolutions=(23,),
    classes=6632,
    ffns=(512, 1024, 2048),
    heads=(2, 4),
)
HAT_SMALL = TranslationSpace(
    name="hat-small",
    title="HAT, small (user interfaces, En-De)",
    resolutions=(12,),
    classes=2000,
    embeds=(64, 128),
    ffns=(128, 256, 512),
    heads=(2, 4),
    encoder_layers=2,
    depths=(1, 2, 3),
    cross_layers=(1, 2),
    inner=128,
    trained=True,
)
"""A small one, trained here in minutes on message catalogues."""
HAT = (HAT_WMT14_ENDE, HAT_WMT14_ENFR, HAT_WMT19_ENDE, HAT_IWSLT14_DEEN, HAT_SMALL)
