"""Vision transformers: AutoFormer's spaces (Chen et al., ICCV 2021)."""

from dataclasses import dataclass
from functools import cached_property

from harness.spaces.arch import Number
from harness.spaces.space import Gene, Place, Space
from harness.spaces.transformer import EncoderLayer, Patches, TokenClassifier, Transformer

_DEPTH, _EMBED, _FIRST = 1, 2, 3  # columns of genes


@dataclass(frozen=True)
class VitSpace(Space[Transformer]):
    """Patches, encoder layers, a classifier.

    The network chooses its depth and width, every layer its heads and the width of its MLP.
    """

    name: str
    title: str
    resolutions: tuple[int, ...]
    image_channels: int
    classes: int
    patch: int  # height and width, pixels
    embeds: tuple[int, ...]
    depths: tuple[int, ...]
    heads: tuple[int, ...]
    ratios: tuple[float, ...]  # of the MLP's width to the embedding's
    head_width: int  # of a head's queries, keys and values
    reach: int  # of relative positions; 0 for none
    bn_eps: float = 1e-5
    released_at: tuple[int, ...] = ()

    @property
    def built(self) -> bool:  # type: ignore[override]
        """Not with relative positions."""
        return not self.reach

    @cached_property
    def genes(self) -> tuple[Gene, ...]:
        layers = [
            Gene(part, layer, choices, _DEPTH, self._from_choice(layer))
            for part, choices in (("heads", self.heads), ("mlp", self.ratios))
            for layer in range(self.depths[-1])
        ]
        size, depth = Gene("r", 0, self.resolutions), Gene("d", 0, self.depths)
        return (size, depth, Gene("embed", 0, self.embeds), *layers)

    def _from_choice(self, layer: int) -> int:
        """The first depth that has the layer."""
        return next(i for i, depth in enumerate(self.depths) if depth > layer)

    @cached_property
    def places(self) -> tuple[Place, ...]:
        deepest = self.depths[-1]
        layers = [
            Place(
                0,
                (0, _EMBED, _FIRST + layer, _FIRST + deepest + layer),
                _DEPTH,
                self._from_choice(layer),
            )
            for layer in range(deepest)
        ]
        return (Place(None, (0, _EMBED)), *layers, Place(None, (0, _EMBED)))

    def block(self, place: int, values: tuple[Number, ...]) -> Transformer:
        pixels, embed, *choices = values
        cut = Patches(int(pixels), self.image_channels, self.patch, int(embed))
        if place == 0:
            return cut
        if place == len(self.places) - 1:
            return TokenClassifier(cut.tokens, cut.embed, self.classes)
        heads, ratio = int(choices[0]), choices[1]
        inner, ffn = heads * self.head_width, int(ratio * cut.embed)
        return EncoderLayer(cut.tokens, cut.embed, inner, heads, ffn, self.reach)


VIT_DIGITS = VitSpace(
    name="vit-digits",
    title="Vision transformers for digits (scikit-learn, randomly transformed)",
    resolutions=(12,),
    image_channels=1,
    classes=10,
    patch=2,
    embeds=(24, 32, 48),
    depths=(1, 2, 3, 4),
    heads=(1, 2, 3),
    ratios=(1, 2, 3),
    head_width=16,
    reach=0,
)
"""A small one, as `digits` is: the whole system in minutes on a laptop."""


def _autoformer(
    size: str,
    embeds: tuple[int, ...],
    depths: tuple[int, ...],
    heads: tuple[int, ...],
    ratios: tuple[float, ...],
) -> VitSpace:
    """One of the supernets of table 2 of the paper: ImageNet, patches of 16 pixels."""
    return VitSpace(
        name=f"autoformer-{size}",
        title=f"AutoFormer, {size} (ImageNet)",
        resolutions=(224,),
        image_channels=3,
        classes=1000,
        patch=16,
        embeds=embeds,
        depths=depths,
        heads=heads,
        ratios=ratios,
        head_width=64,
        reach=14,
    )


AUTOFORMER_TINY = _autoformer("tiny", (192, 216, 240), (12, 13, 14), (3, 4), (3.5, 4))
AUTOFORMER_SMALL = _autoformer("small", (320, 384, 448), (12, 13, 14), (5, 6, 7), (3, 3.5, 4))
AUTOFORMER_BASE = _autoformer("base", (528, 576, 624), (14, 15, 16), (8, 9, 10), (3, 3.5, 4))
AUTOFORMER = (AUTOFORMER_TINY, AUTOFORMER_SMALL, AUTOFORMER_BASE)
