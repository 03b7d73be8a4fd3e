"""Layers of transformers that can act with a smaller embedding, fewer heads, a narrower MLP.

Weights are entangled (Chen et al., ICCV 2021, section 3.2): a smaller form uses the leading rows
and columns of each matrix of the largest.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.networks.layers import attention, by_head, with_positions
from harness.spaces.transformer import (
    DecoderLayer,
    EncoderLayer,
    Patches,
    TokenClassifier,
    Transformer,
    Vocabulary,
)
from harness.supernet.elastic import Elastic


def linear(x: Tensor, layer: nn.Linear, out: int) -> Tensor:
    """A linear layer with its leading `out` outputs, and as many inputs as there are."""
    return F.linear(x, layer.weight[:out, : x.shape[-1]], layer.bias[:out])


def norm(x: Tensor, layer: nn.LayerNorm) -> Tensor:
    """A layer norm of as many numbers as there are."""
    size = x.shape[-1]
    return F.layer_norm(x, (size,), layer.weight[:size], layer.bias[:size], layer.eps)


class ElasticPatches(Elastic):
    """Embedding."""

    def forward(self, x: Tensor, block: Patches) -> Tensor:
        layer, embed = self.largest, block.embed
        cut = layer.cut
        tokens = F.conv2d(x, cut.weight[:embed], cut.bias[:embed], cut.stride)
        first, positions = layer.first[..., :embed], layer.positions[:, : block.tokens, :embed]
        y: Tensor = with_positions(tokens.flatten(2).transpose(1, 2), first, positions)
        return y


class ElasticEncoderLayer(Elastic):
    """Embedding, heads, and the width of the feed-forward network."""

    def forward(self, x: Tensor, block: EncoderLayer) -> Tensor:
        layer, inner = self.largest, block.inner
        y = norm(x, layer.norm)
        query, key, value = (
            linear(y, each, inner) for each in (layer.query, layer.key, layer.value)
        )
        x = x + linear(attention(query, key, value, block.heads), layer.out, block.embed)
        y = layer.act(linear(norm(x, layer.inner_norm), layer.widen, block.ffn))
        return x + linear(y, layer.narrow, block.embed)


class ElasticDecoderLayer(Elastic):
    """Embeddings, heads, attended layers of the encoder, the width of the feed-forward network.

    Of whole translations at once, as training has them: each token attends to those before it.
    """

    def forward(self, x: Tensor, block: DecoderLayer, encoded: Sequence[Tensor] = ()) -> Tensor:
        """`encoded`: what each layer of the encoder gave, [n, tokens, embed] each."""
        layer, inner = self.largest, block.inner
        y = norm(x, layer.norm)
        own = [linear(y, each, inner) for each in (layer.query, layer.key, layer.value)]
        x = x + linear(_attended(own, block.heads, causal=True), layer.out, block.embed)
        last = torch.cat(list(encoded[-block.cross_layers :]), 1)
        query = linear(norm(x, layer.cross_norm), layer.cross_query, inner)
        theirs = [linear(last, each, inner) for each in (layer.cross_key, layer.cross_value)]
        y = _attended([query, *theirs], block.cross_heads)
        x = x + linear(y, layer.cross_out, block.embed)
        y = layer.act(linear(norm(x, layer.inner_norm), layer.widen, block.ffn))
        return x + linear(y, layer.narrow, block.embed)


def _attended(projected: Sequence[Tensor], heads: int, *, causal: bool = False) -> Tensor:
    """Of queries to keys and values, [n, tokens, inner] each."""
    query, key, value = (by_head(each, heads) for each in projected)
    found = F.scaled_dot_product_attention(query, key, value, is_causal=causal)
    return found.transpose(1, 2).flatten(2)


class ElasticVocabulary(Elastic):
    """Embedding."""

    def forward(self, x: Tensor, block: Vocabulary) -> Tensor:
        return F.linear(x, self.largest.weight[:, : block.embed])

    def embedded(self, words: Tensor, embed: int) -> Tensor:
        """[n, tokens, embed]"""
        return F.embedding(words, self.largest.weight[:, :embed])


class ElasticTokenClassifier(Elastic):
    """Embedding."""

    def forward(self, x: Tensor, block: TokenClassifier) -> Tensor:
        return linear(norm(x, self.largest.norm).mean(1), self.largest.linear, block.classes)


def elastic_transformer(block: Transformer) -> Elastic:
    """The elastic layer of a place whose largest block is `block`.

    Raises:
        ValueError: its kind is not built here.
    """
    kinds: dict[str, Any] = {
        "patches": ElasticPatches,
        "encoder": ElasticEncoderLayer,
        "decoder": ElasticDecoderLayer,
        "vocabulary": ElasticVocabulary,
        "classifier": ElasticTokenClassifier,
    }
    if block.kind not in kinds:
        raise ValueError(f"no elastic layer for {block.key}")
    layer: Elastic = kinds[block.kind](block.spec)
    return layer
