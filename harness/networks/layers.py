"""Plain torch layers built from block specifications (dictionaries with the fields of a Block).

This file also runs on the target, beside the agent: it imports nothing of the project and stays
within Python 3.6 and torch 1.10.
"""

import torch
from torch import nn

IMAGES = 8  # from which batch-norm statistics of random networks are made
ACTIVATIONS = {
    "none": nn.Identity,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "h_swish": nn.Hardswish,
    "swish": nn.SiLU,
}


def conv_bn(in_channels, out_channels, kernel, stride, groups, act):
    """Convolution with padding kernel // 2, batch norm, activation."""
    conv = nn.Conv2d(
        in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False
    )
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels), ACTIVATIONS[act]())


class SqueezeExcite(nn.Module):
    """Channel attention: pooled, squeezed, gated.

    By ReLU and a hard sigmoid as in MobileNetV3, by swish and a sigmoid in networks of swish.
    """

    def __init__(self, channels, squeezed, act):
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.expand = nn.Conv2d(squeezed, channels, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.act = nn.SiLU() if act == "swish" else nn.ReLU()
        self.gate = nn.Sigmoid() if act == "swish" else nn.Hardsigmoid()

    def forward(self, x):
        return x * self.gate(self.expand(self.act(self.reduce(self.pool(x)))))


class MBConv(nn.Module):
    """Inverted bottleneck: expansion, depthwise, squeeze-and-excitation, projection, residual."""

    def __init__(self, spec):
        super().__init__()
        inner, mid, act = spec["in_channels"], spec["mid_channels"], spec["act"]
        self.residual = spec["residual"]
        self.expand = conv_bn(inner, mid, 1, 1, 1, act) if mid != inner else nn.Identity()
        self.depthwise = conv_bn(mid, mid, spec["kernel"], spec["stride"], mid, act)
        se = spec["se_channels"]
        self.se = SqueezeExcite(mid, se, act) if se else nn.Identity()
        self.project = conv_bn(mid, spec["out_channels"], 1, 1, 1, "none")

    def forward(self, x):
        y = self.project(self.se(self.depthwise(self.expand(x))))
        return x + y if self.residual else y


class Residual(nn.Module):
    """A layer whose input is added to its output."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return x + self.layer(x)


class Bottleneck(nn.Module):
    """ResNet's, with average pooling in the shortcut where it is strided (ResNet-D)."""

    def __init__(self, spec):
        super().__init__()
        inner, mid, out = spec["in_channels"], spec["mid_channels"], spec["out_channels"]
        stride, act = spec["stride"], spec["act"]
        self.reduce = conv_bn(inner, mid, 1, 1, 1, act)
        self.conv = conv_bn(mid, mid, spec["kernel"], stride, 1, act)
        self.expand = conv_bn(mid, out, 1, 1, 1, "none")
        self.pool = nn.AvgPool2d(stride, stride, ceil_mode=True) if stride > 1 else nn.Identity()
        self.shortcut = nn.Identity() if spec["residual"] else conv_bn(inner, out, 1, 1, 1, "none")
        self.act = ACTIVATIONS[act]()

    def forward(self, x):
        return self.act(self.expand(self.conv(self.reduce(x))) + self.shortcut(self.pool(x)))


class Patches(nn.Module):
    """An image cut into squares, each a token; a class token before them, positions added."""

    def __init__(self, spec):
        super().__init__()
        embed, patch = spec["embed"], spec["patch"]
        tokens = (spec["pixels"] // patch) ** 2 + 1
        self.cut = nn.Conv2d(spec["channels"], embed, patch, patch)
        self.first = nn.Parameter(0.02 * torch.randn(1, 1, embed))
        # Places have to be told apart from the beginning: after 250 steps on digits the largest
        # network reaches 28 % with 0.02, as is usual for long training, and 80 % with 0.6.
        self.positions = nn.Parameter(0.6 * torch.randn(1, tokens, embed))

    def forward(self, x):
        tokens = self.cut(x).flatten(2).transpose(1, 2)
        return with_positions(tokens, self.first, self.positions)


def with_positions(tokens, first, positions):
    return torch.cat([first.expand(tokens.shape[0], -1, -1), tokens], 1) + positions


class EncoderLayer(nn.Module):
    """Self-attention and a feed-forward network, each behind its norm and added to its input."""

    def __init__(self, spec, device=None):
        super().__init__()
        embed, inner, ffn = spec["embed"], spec["inner"], spec["ffn"]
        if spec["reach"]:
            raise ValueError("relative positions are not built")
        self.heads = spec["heads"]
        self.norm, self.inner_norm = [nn.LayerNorm(embed, device=device) for _ in range(2)]
        self.query, self.key, self.value = [
            nn.Linear(embed, inner, device=device) for _ in range(3)
        ]
        self.out = nn.Linear(inner, embed, device=device)
        self.widen = nn.Linear(embed, ffn, device=device)
        self.narrow = nn.Linear(ffn, embed, device=device)
        self.act = nn.GELU()

    def forward(self, x):
        y = self.norm(x)
        x = x + self.out(attention(self.query(y), self.key(y), self.value(y), self.heads))
        return x + self.narrow(self.act(self.widen(self.inner_norm(x))))


def attention(query, key, value, heads):
    """Of tokens to each other, [n, tokens, inner]."""
    return attended(*[by_head(each, heads) for each in (query, key, value)])


def by_head(x, heads):
    """[n, heads, tokens, width of a head]"""
    return x.reshape(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)


def attended(query, key, value):
    """[n, tokens, inner], of what is given by head."""
    scores = query @ key.transpose(2, 3) / query.shape[3] ** 0.5
    return (scores.softmax(3) @ value).transpose(1, 2).flatten(2)


class DecoderLayer(nn.Module):
    """A layer of a decoder, one token a step: attention to the tokens before, whose keys and values
    are kept, and to the source, and a feed-forward network, each behind its norm and added to its
    input."""

    def __init__(self, spec, device=None):
        super().__init__()
        embed, inner, ffn, source = [
            spec[name] for name in ("embed", "inner", "ffn", "source_embed")
        ]
        self.heads, self.cross_heads = spec["heads"], spec["cross_heads"]
        self.cross_layers = spec["cross_layers"]
        norms = [nn.LayerNorm(embed, device=device) for _ in range(3)]
        self.norm, self.cross_norm, self.inner_norm = norms
        self.query, self.key, self.value = [
            nn.Linear(embed, inner, device=device) for _ in range(3)
        ]
        self.out = nn.Linear(inner, embed, device=device)
        self.cross_query = nn.Linear(embed, inner, device=device)
        self.cross_key, self.cross_value = [
            nn.Linear(source, inner, device=device) for _ in range(2)
        ]
        self.cross_out = nn.Linear(inner, embed, device=device)
        self.widen = nn.Linear(embed, ffn, device=device)
        self.narrow = nn.Linear(ffn, embed, device=device)
        self.act = nn.GELU()

    def source(self, encoded):
        """Keys and values of the source, once a sentence: of what the last layers of the encoder
        gave, side by side."""
        last = torch.cat(encoded[-self.cross_layers :], 1)
        return [
            by_head(each(last), self.cross_heads) for each in (self.cross_key, self.cross_value)
        ]

    def forward(self, x, kept, source):
        """A step: [n, 1, embed], and keys and values, [n, heads, tokens, width of a head]."""
        y = self.norm(x)
        new = [by_head(each(y), self.heads) for each in (self.key, self.value)]
        kept = [torch.cat(both, 2) for both in zip(kept, new)]
        x = x + self.out(attended(by_head(self.query(y), self.heads), *kept))
        query = by_head(self.cross_query(self.cross_norm(x)), self.cross_heads)
        x = x + self.cross_out(attended(query, *source))
        return x + self.narrow(self.act(self.widen(self.inner_norm(x)))), kept


class Vocabulary(nn.Module):
    """Scores of words; the same matrix is their embedding."""

    def __init__(self, spec, device=None):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(spec["words"], spec["embed"], device=device))
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, x):
        return nn.functional.linear(x, self.weight)

    def embedded(self, scores):
        """The best word."""
        return nn.functional.embedding(scores.argmax(2), self.weight)


class Translator(nn.Sequential):
    """Encoder layers, decoder layers, the scores of words, as many of each as there are.

    The source [n, tokens, embed] becomes scores of words at every step, [n, steps, words], each
    step being given the best word of the step before; without the scores of words it is given what
    came out, and that is the result. Without an encoder the source is zeros, and the input's first
    token begins.

    In a network a layer's weights are fetched anew at every step: those of all others came
    between. A layer of a decoder alone is therefore many, of which each step takes another.
    """

    def __init__(self, specs, device=None):
        layers = [TOKENS[spec["kind"]](spec, device) for spec in specs]
        decoders = [spec for spec in specs if spec["kind"] == "decoder"]
        self.turns, alone = specs[-1]["steps"], len(specs) == len(decoders) == 1
        if alone:
            layers += [DecoderLayer(specs[0], device) for _ in range(1, specs[0]["in_turn"])]
            self.turns //= len(layers)
        super().__init__(*layers)
        self.sources = [(spec["tokens"], spec["source_embed"]) for spec in decoders]
        self.kept = [(spec["heads"], 0, spec["inner"] // spec["heads"]) for spec in decoders]
        self.encoder = [layer for layer in layers if isinstance(layer, EncoderLayer)]
        self.decoder = [layer for layer in layers if isinstance(layer, DecoderLayer)]
        self.by_step = [[layer] for layer in self.decoder] if alone else [self.decoder]

    @property
    def words(self):
        """The scores of words, or None."""
        return self[-1] if isinstance(self[-1], Vocabulary) else None

    def forward(self, x):
        y, source, kept = self.begin(x)
        outputs = []
        for _ in range(self.turns):
            output, y, kept = self.turn(y, source, kept)
            outputs.append(output)
        return torch.cat(outputs, 1)

    def begin(self, x):
        """The first token; keys and values of the source, and of nothing yet, for each layer."""
        encoded, first = [], x[:, :1]
        for layer in self.encoder:
            x = layer(x)
            encoded.append(x)
        if self.encoder and self.words is not None:
            first = self.words.weight[:1].expand(x.shape[0], 1, -1)
        source = []
        for layer, (tokens, width) in zip(self.decoder, self.sources):
            attended = [x.new_zeros(x.shape[0], tokens, width)] * layer.cross_layers
            source.append(layer.source(encoded or attended))
        return first, source, [[x.new_zeros(x.shape[0], *shape)] * 2 for shape in self.kept]

    def turn(self, y, source, kept):
        """A step, or one of each layer that takes turns: outputs [n, steps, ...], the token for the
        step after, and what is kept by then."""
        outputs = []
        for layers in self.by_step:
            after = []
            for layer, own, theirs in zip(layers, kept, source):
                y, own = layer(y, own, theirs)
                after.append(own)
            kept = after
            outputs.append(y if self.words is None else self.words(y))
            y = y if self.words is None else self.words.embedded(outputs[-1])
        return torch.cat(outputs, 1), y, kept


class TokenClassifier(nn.Module):
    """A norm, and a linear classifier of the tokens' mean."""

    def __init__(self, spec):
        super().__init__()
        self.norm = nn.LayerNorm(spec["embed"])
        self.linear = nn.Linear(spec["embed"], spec["classes"])

    def forward(self, x):
        return self.linear(self.norm(x).mean(1))


TOKENS = {
    "patches": Patches,
    "encoder": EncoderLayer,
    "decoder": DecoderLayer,
    "vocabulary": Vocabulary,
    "classifier": TokenClassifier,
}
DECODING = ("decoder", "vocabulary")  # step by step


def input_shape(spec):
    """Of one input of a block."""
    if spec["kind"] == "patches":
        return spec["channels"], spec["pixels"], spec["pixels"]
    if spec["kind"] in DECODING:
        return spec["steps"], spec["embed"]
    if spec["kind"] in TOKENS:
        return spec["tokens"], spec["embed"]
    return spec["in_channels"], spec["height"], spec["width"]


def make_layer(spec):
    """The layer of one block, with torch's random initial weights."""
    if spec["kind"] in TOKENS:
        return TOKENS[spec["kind"]](spec)
    kind, inner, out = spec["kind"], spec["in_channels"], spec["out_channels"]
    if kind == "conv":
        layer = conv_bn(inner, out, spec["kernel"], spec["stride"], 1, spec["act"])
        return Residual(layer) if spec["residual"] else layer
    if kind == "mbconv":
        return MBConv(spec)
    if kind == "bottleneck":
        return Bottleneck(spec)
    if kind == "maxpool":
        return nn.MaxPool2d(spec["kernel"], spec["stride"], spec["kernel"] // 2)
    if kind == "pool":
        return nn.AdaptiveAvgPool2d(1)
    if kind == "mix":
        return nn.Sequential(nn.Conv2d(inner, out, 1, bias=False), ACTIVATIONS[spec["act"]]())
    if kind == "linear":
        return nn.Sequential(nn.Flatten(), nn.Linear(inner, out))
    raise ValueError("unknown kind of block: %r" % (kind,))


def decodes(specs):
    """Whether they go on step by step."""
    return any(spec["kind"] in DECODING for spec in specs)


def make_network(specs):
    """The blocks one after the other, as one module."""
    if decodes(specs):
        return Translator(specs)
    return nn.Sequential(*[make_layer(spec) for spec in specs])


def enliven(network, spec):
    """Weights with which what passes through a network neither fades nor grows; `spec`: its first
    block's.

    He's (2015), and batch-norm statistics of random images: with torch's own a deep network gives
    much the same, nearly nothing, whatever it is shown, and 8 or 16 bits underflow.
    """
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [(norm, norm.momentum) for norm in norms]
    if not norms:
        return network.eval()
    for norm in norms:
        norm.momentum = 1.0  # these images alone
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=False):
        network.train()(torch.randn(IMAGES, *input_shape(spec)))
    for norm, momentum in momenta:
        norm.momentum = momentum
    return network.eval()
