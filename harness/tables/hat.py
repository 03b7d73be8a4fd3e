"""Latencies that HAT's authors published: whole encoders and decoders, as rows of a CSV file.

https://github.com/mit-han-lab/hardware-aware-transformers, `latency_dataset`: a row for each
network, times in ms over its runs without the fastest and slowest tenth. Of its layers a row tells
means alone, and latencies depend on sums: each network is recorded with layers of these sums, as
alike as there are. The sizes may be others than its space has: they were drawn from more.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations_with_replacement
from pathlib import Path
from statistics import median, pvariance

from harness import files
from harness.errors import FileFormatError, TableError, UsageError
from harness.spaces.block import Block
from harness.spaces.space import Space
from harness.spaces.transformer import DecoderLayer, EncoderLayer, Vocabulary
from harness.spaces.translation import TranslationSpace
from harness.tables.record import Record, Statistics
from harness.tables.repeat import NORMAL95
from harness.tables.table import Table
from harness.tables.table_format import Imported, ImportRequest, TableFormat

CAMPAIGN = "published"
_FACTS = {"started_at": "unknown", "rounds": 1, "environment": {}}
_FFNS, _HEADS, _ATTENDED = (512, 1024, 2048, 3072), (2, 4, 8), (1, 2, 3)  # that were drawn from
_DIRTY = 1.5  # of the median of encoders with as many layers: they differ by a quarter
_MOST_MS, _MOST_LAYERS, _MOST_WIDTH = 1e9, 12, 10_000
_NAMED = 6  # lines that are named
_ENCODER, _DECODER = "latency_mean_encoder", "latency_mean_decoder"


@dataclass(frozen=True)
class Measured:
    """A row: a network, and how long its parts took."""

    line: str  # file and line
    encoder: tuple[Block, ...]
    decoder: tuple[Block, ...]
    encoder_ms: float
    decoder_ms: float
    std_ms: tuple[float, float]

    @property
    def blocks(self) -> tuple[Block, ...]:
        return self.encoder + self.decoder

    @property
    def latency_ms(self) -> float:
        return self.encoder_ms + self.decoder_ms


@dataclass(frozen=True)
class Published:
    """The rows as a table, and those that were set aside."""

    table: Table
    rows: int
    dirty: tuple[Measured, ...]

    def describe(self) -> str:
        read = f"{self.rows - len(self.dirty)} whole networks of {self.table.space}"
        if not self.dirty:
            return read
        lines = ", ".join(each.line for each in self.dirty[:_NAMED])
        more = f" and {len(self.dirty) - _NAMED} more" if len(self.dirty) > _NAMED else ""
        return (
            f"{read}; {len(self.dirty)} rows set aside, whose encoders took more than {_DIRTY:g} "
            f"times the median of those with as many layers: {lines}{more}"
        )


def read_hat(paths: Sequence[Path], space: Space, device: str, source: str) -> Published:
    """The published latencies in `paths` as a table of whole networks.

    Raises:
        TableError: a file is missing or broken, or no row is left; the line is named.
        UsageError: the space is none of translation.
    """
    measured = [each for path in paths for each in read_rows(path, space)]
    clean, dirty = set_aside(measured)
    if not clean:
        raise TableError(f"{paths[0]}: no network is in it")
    parts = [
        *_records(
            CAMPAIGN, "anchor", [(r.blocks, r.latency_ms, math.hypot(*r.std_ms)) for r in clean]
        ),
        *_records(
            f"{CAMPAIGN}-encoder",
            "network",
            [(r.encoder, r.encoder_ms, r.std_ms[0]) for r in clean],
        ),
        *_records(
            f"{CAMPAIGN}-decoder",
            "network",
            [(r.decoder, r.decoder_ms, r.std_ms[1]) for r in clean],
        ),
    ]
    aside = {"set_aside": [f"{each.line}: encoder {each.encoder_ms:.5g} ms" for each in dirty]}
    facts = {name: dict(_FACTS) for name in (f"{CAMPAIGN}-encoder", f"{CAMPAIGN}-decoder")}
    facts[CAMPAIGN] = _FACTS | aside
    table = Table(device, space.name, {"source": source}, facts, tuple(parts), source)
    return Published(table, len(measured), tuple(dirty))


def set_aside(measured: Iterable[Measured]) -> tuple[list[Measured], list[Measured]]:
    """The rows that are as they should be, and those that were measured while something else ran.

    An encoder takes little of a network's time, and encoders are much alike: one that took far more
    than others tells that the computer was not idle.
    """
    groups: dict[int, list[Measured]] = defaultdict(list)
    rows = list(measured)
    for each in rows:
        groups[len(each.encoder)].append(each)
    limits = {n: _DIRTY * median(each.encoder_ms for each in group) for n, group in groups.items()}
    dirty = [each for each in rows if each.encoder_ms > limits[len(each.encoder)]]
    return [each for each in rows if each.encoder_ms <= limits[len(each.encoder)]], dirty


def read_rows(path: Path, space: Space) -> list[Measured]:
    """The networks of one file.

    Raises:
        TableError: the file is missing or broken; the line is named.
        UsageError: the space is none of translation.
    """
    if not isinstance(space, TranslationSpace):
        raise UsageError(f"HAT's latencies are of spaces such as hat-wmt14-ende, not {space.name}")
    try:
        _, rows = files.read_csv(path)
    except FileFormatError as error:
        raise TableError(str(error)) from error
    return [_measured(row, space, f"{path.name}:{line}") for line, row in rows]


def _measured(row: dict[str, str], space: TranslationSpace, where: str) -> Measured:
    def number(name: str, most: float) -> float:
        try:
            value = float(row[name])
        except (KeyError, TypeError, ValueError) as error:
            raise TableError(f"{where}: no number {name}") from error
        if not 0 <= value <= most:
            raise TableError(f"{where}: {name} is {value:g}")
        return value

    def whole(name: str, most: int) -> int:
        value = number(name, most)
        if value != int(value) or value < 1:
            raise TableError(f"{where}: {name} is {value:g}, no whole number above 0")
        return int(value)

    def layers(name: str, count: int, choices: tuple[int, ...]) -> tuple[int, ...]:
        total = number(name, choices[-1]) * count
        found = alike(round(total), count, choices)
        if found is None or abs(total - round(total)) > 1e-3:
            values = ", ".join(map(str, choices))
            raise TableError(f"{where}: {name}: {count} layers of {values} have no such mean")
        return found

    (tokens, *_), inner = space.resolutions, space.inner
    embed, depth = whole("encoder_embed_dim", _MOST_WIDTH), whole("encoder_layer_num", _MOST_LAYERS)
    ffns = layers("encoder_ffn_embed_dim_avg", depth, _FFNS)
    heads = layers("encoder_self_attention_heads_avg", depth, _HEADS)
    encoder = [
        EncoderLayer(tokens, embed, inner, head, ffn) for head, ffn in zip(heads, ffns, strict=True)
    ]
    width, steps = whole("decoder_embed_dim", _MOST_WIDTH), whole("decoder_layer_num", _MOST_LAYERS)
    chosen = (
        layers("decoder_self_attention_heads_avg", steps, _HEADS),
        layers("decoder_ende_attention_heads_avg", steps, _HEADS),
        layers("decoder_arbitrary_ende_attn_avg", steps, _ATTENDED),
        layers("decoder_ffn_embed_dim_avg", steps, _FFNS),
    )
    decoder = [
        DecoderLayer(tokens, tokens, width, embed, inner, *each)
        for each in zip(*chosen, strict=True)
    ]
    times = [number(name, _MOST_MS) for name in (_ENCODER, _DECODER)]
    if min(times) <= 0:
        raise TableError(f"{where}: a latency of {min(times):g} ms")
    spreads = (number("latency_std_encoder", _MOST_MS), number("latency_std_decoder", _MOST_MS))
    words = Vocabulary(tokens, width, space.classes)
    return Measured(where, tuple(encoder), (*decoder, words), times[0], times[1], spreads)


@cache
def alike(total: int, layers: int, choices: tuple[int, ...]) -> tuple[int, ...] | None:
    """Sizes of so many layers with this sum, as alike as there are; None where there are none."""
    fitting = (s for s in combinations_with_replacement(choices, layers) if sum(s) == total)
    return min(fitting, key=pvariance, default=None)


def _records(
    campaign: str, role: str, rows: Iterable[tuple[tuple[Block, ...], float, float]]
) -> Iterable[Record]:
    """One for each different network, over all rows that have it: blocks, ms, deviation in ms."""
    found: dict[tuple[Block, ...], list[tuple[float, float]]] = defaultdict(list)
    for blocks, latency_ms, std_ms in rows:
        found[blocks].append((latency_ms, std_ms))
    for blocks, times in found.items():
        mean = sum(ms for ms, _ in times) / len(times)
        half = max(max(NORMAL95 * std, abs(ms - mean)) for ms, std in times)
        value, low, high = (max(1, round(ms * 1e6)) for ms in (mean, mean - half, mean + half))
        unknown = (None, None, None, None, None)
        statistics = Statistics(value, low, high, *unknown, visits=len(times), runs=len(times))
        yield Record(role, blocks, None, "latency", "wall", campaign, statistics)


def _read(asked: ImportRequest) -> Imported:
    published = read_hat(asked.paths, asked.space, asked.name, asked.source)
    return Imported(published.table, published.describe())


FORMAT = TableFormat("hat", _read, unit="ms")
