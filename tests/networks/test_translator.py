"""Encoder-decoder networks, step by step with keys and values kept, are what the textbook says."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from harness.errors import ConversionFailed
from harness.networks.build import build_random, input_shape
from harness.networks.layers import DecoderLayer, Translator, by_head
from harness.runtimes.conversion.source import without_loops
from harness.spaces import transformer
from harness.spaces.transformer import COLD, EncoderLayer, Transformer, Vocabulary

STEPS, TOKENS = 6, 5
ENCODER = EncoderLayer(TOKENS, embed=12, inner=8, heads=2, ffn=10)
WORDS = Vocabulary(STEPS, 16, 9)


def decoder(cross_layers: int, cross_heads: int = 4) -> transformer.DecoderLayer:
    return transformer.DecoderLayer(STEPS, TOKENS, 16, 12, 8, 2, cross_heads, cross_layers, 20)


def network(*blocks: Transformer) -> Translator:
    built = build_random(blocks, seed=3)
    assert isinstance(built, Translator)
    return built


def all_at_once(layer: DecoderLayer, x: Tensor, encoded: list[Tensor]) -> Tensor:
    """A layer over all steps, each of which sees those before it, by torch's own attention."""
    y = layer.norm(x)
    own = [by_head(each(y), layer.heads) for each in (layer.query, layer.key, layer.value)]
    query, key, value = own
    seen = F.scaled_dot_product_attention(query, key, value, is_causal=True)
    x = x + layer.out(seen.transpose(1, 2).flatten(2))
    source = torch.cat(encoded[-layer.cross_layers :], 1)
    given = (
        (layer.cross_query, layer.cross_norm(x)),
        *((each, source) for each in (layer.cross_key, layer.cross_value)),
    )
    cross = [by_head(each(what), layer.cross_heads) for each, what in given]
    x = x + layer.cross_out(F.scaled_dot_product_attention(*cross).transpose(1, 2).flatten(2))
    after: Tensor = x + layer.narrow(layer.act(layer.widen(layer.inner_norm(x))))
    return after


@torch.no_grad()
def test_steps_give_the_scores_that_all_tokens_at_once_give() -> None:
    translator = network(ENCODER, ENCODER, ENCODER, decoder(3), decoder(1, cross_heads=2), WORDS)
    x = torch.randn(2, TOKENS, 12)
    scores = translator(x)
    assert scores.shape == (2, STEPS, 9)
    encoded = []
    for layer in translator.encoder:
        x = layer(x)
        encoded.append(x)
    # What the steps were given: the word that begins, and the best of each step but the last.
    words = F.pad(scores.argmax(2)[:, :-1], (1, 0))
    y = translator[-1].weight[words]
    for layer in translator.decoder:
        y = all_at_once(layer, y, encoded)
    assert torch.allclose(translator[-1](y), scores, atol=1e-5)
    assert len(words.unique()) > 1


def test_a_translator_has_the_parameters_of_its_blocks_and_no_other() -> None:
    blocks = (ENCODER, decoder(2), decoder(1), WORDS)
    state = network(*blocks).state_dict()
    assert sum(each.numel() for each in state.values()) == sum(block.params for block in blocks)
    assert {name.partition(".")[0] for name in state} == {"0", "1", "2", "3"}


@pytest.mark.parametrize("block", [decoder(2), WORDS], ids=str)
@torch.no_grad()
def test_blocks_of_a_decoder_alone_give_the_shapes_that_they_say(block: Transformer) -> None:
    output = network(block)(torch.randn(input_shape([block], 2)))
    assert tuple(output.shape) == (2, *block.output_shape)


def test_layers_of_a_decoder_alone_take_turns_until_no_cache_holds_them() -> None:
    large = transformer.DecoderLayer(30, 30, 512, 640, 512, 8, 8, 1, 3072)
    alone = network(large)
    weights = [layer.query.weight for layer in alone.decoder]
    assert len({each.data_ptr() for each in weights}) == len(weights)
    assert len(weights) * large.params >= COLD > (len(weights) - 1) * large.params / 2
    assert alone.turns * len(weights) == large.steps
    assert len(network(decoder(1)).decoder) == STEPS  # more would never have a turn
    assert len(network(decoder(1), decoder(1)).decoder) == 2


def test_files_that_hold_no_loops_say_that_decoders_need_one() -> None:
    assert without_loops((ENCODER,)).blocks == (ENCODER,)
    for workload in ((decoder(1),), (ENCODER, decoder(1), WORDS)):
        with pytest.raises(ConversionFailed, match="decoders go on step by step"):
            without_loops(workload)
