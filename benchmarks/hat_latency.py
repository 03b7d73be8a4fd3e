"""Latencies of transformers for translation from few of them, on HAT's published measurements.

A physical model (`harness.predictors.few_shot`: encoder layers, steps of the decoder) learns from
20, 50, 100 and 1,600 whole networks of each file, and is judged on 200 that it has not seen; rows
that tell that the computer was not idle are set aside first (`harness.tables.hat`). Beside it:

- a linear model of 12 terms, fitted to the same networks by relative least squares;
- HAT's own predictors, as printed figures: a mean error over all rows, their 1,600 training rows
  and the rows set aside here among them;
- all rows: the model from 50 of all rows, on 200 of all rows;
- the floor: the model of 1,600, each judge's prediction moved by the median error of those that
  stand beside it in the file, which were measured at the same time. What is left is noise; what
  that takes away is a computer that was at another speed, which no network tells.

    python benchmarks/hat_latency.py [--seeds 20]

Reads `hat/*.csv` below HARNESS_DATA; the last line is JSON, an object a file.
"""

import argparse
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from harness.predictors.few_shot import fit
from harness.spaces.arch import Arch
from harness.spaces.genome import Genomes, encode
from harness.spaces.transformer import DecoderLayer, EncoderLayer
from harness.spaces.translation import HAT, HAT_WMT14_ENDE, TranslationSpace
from harness.tables.hat import Measured, read_rows, set_aside

DATA = Path(os.environ.get("HARNESS_DATA", Path(__file__).parents[2] / "shared" / "data"))
JUDGES, MOST, FEW = 200, 1600, (20, 50, 100)
FEW_DRAWS = 3  # of fits to most networks, which hardly differ
BESIDE = 10  # rows on each side
PRINTED = {  # mean error of HAT's predictors, percent
    "iwslt14deen_gpu_titanxp": 7.0,
    "wmt14ende_cpu_raspberrypi": 3.8,
    "wmt14ende_gpu_titanxp": 5.9,
    "wmt14enfr_cpu_xeon": 4.0,
    "wmt14enfr_gpu_titanxp": 1.9,
}
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Networks:
    """Of one file, in its order, which is that of measuring."""

    space: TranslationSpace
    genomes: Genomes
    latency_ms: Floats
    terms: Floats  # [n, 12], of the linear model

    @classmethod
    def of(cls, space: TranslationSpace, rows: Sequence[Measured]) -> "Networks":
        genomes = encode(space, [arch_of(space, each) for each in rows])
        terms = np.array([linear_terms(each) for each in rows])
        return cls(space, genomes, np.array([each.latency_ms for each in rows]), terms)


@dataclass(frozen=True)
class Trial:
    """One fit, judged: relative errors of the model and of the linear one, and who was covered."""

    errors: Floats  # [judges], predicted / measured - 1
    linear: Floats
    covered: npt.NDArray[np.bool_]
    stated: float  # relative
    floor: Floats


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=20, help="draws of networks, averaged")
    seeds = parser.parse_args().seeds
    paths = sorted(DATA.glob("hat/*.csv"))
    if not paths:
        raise SystemExit(f"no hat/*.csv below {DATA}: set HARNESS_DATA")
    table = Table(title=f"Mean error on {JUDGES} networks left out, %; mean over {seeds} draws")
    for heading in (
        *("file", "set aside"),
        *(f"from {few}" for few in (*FEW, MOST)),
        *(f"linear {few}" for few in (*FEW, MOST)),
        *("HAT's", "all rows", "floor", "in 10 %", "stated", "covered"),
    ):
        table.add_column(heading)
    found = {path.stem: figures(path, seeds) for path in paths}
    for name, of_file in found.items():
        table.add_row(
            *(name, str(of_file["set_aside"])),
            *(f"{100 * of_file[f'mape_{few}']:.2f}" for few in (*FEW, MOST)),
            *(f"{100 * of_file[f'linear_{few}']:.2f}" for few in (*FEW, MOST)),
            f"{PRINTED[name]}" if name in PRINTED else "-",
            *(f"{100 * of_file[key]:.2f}" for key in ("mape_50_all_rows", "floor")),
            *(f"{of_file[key]:.1%}" for key in ("within_10_50", "stated_50", "coverage_50")),
        )
    table.caption = (
        "in 10 %, stated, covered: of the model from 50; the error that it states for 95 % of "
        "networks, and the share that is within it"
    )
    Console(width=200).print(table)
    print(json.dumps(found))


def figures(path: Path, seeds: int) -> dict[str, float]:
    space = space_of(path.stem)
    rows = read_rows(path, space)
    clean, dirty = set_aside(rows)
    networks = Networks.of(space, clean)
    found: dict[str, float] = {"set_aside": len(dirty)}
    for few in (*FEW, MOST):
        draws = seeds if few < MOST else min(seeds, FEW_DRAWS)
        trials = [tried(networks, few, seed) for seed in range(draws)]
        errors = np.abs([trial.errors for trial in trials])
        found |= {
            f"mape_{few}": float(errors.mean()),
            f"within_10_{few}": float(np.mean(errors <= 0.10)),
            f"linear_{few}": float(np.mean([np.abs(trial.linear) for trial in trials])),
            f"coverage_{few}": float(np.mean([trial.covered for trial in trials])),
            f"stated_{few}": float(np.mean([trial.stated for trial in trials])),
            "floor": float(np.mean([np.abs(trial.floor) for trial in trials])),
        }
    every = Networks.of(space, rows)
    trials = [tried(every, 50, seed) for seed in range(seeds)]
    found["mape_50_all_rows"] = float(np.mean([np.abs(trial.errors) for trial in trials]))
    return found


def tried(networks: Networks, few: int, seed: int) -> Trial:
    """A fit to `few` random networks; the judges are drawn first, alike for every number."""
    order = np.random.default_rng(seed).permutation(len(networks.genomes))
    judges, chosen = order[:JUDGES], order[JUDGES : JUDGES + few]
    measured_ms = networks.latency_ms
    predictor = fit(networks.space, networks.genomes[chosen], measured_ms[chosen])
    predicted_ms = predictor.predict(networks.genomes)
    ratios = predicted_ms / measured_ms
    log_error = predictor.statements["full"].log_error
    assert log_error is not None
    weighted = networks.terms / measured_ms[:, None]
    linear = np.linalg.lstsq(weighted[chosen], np.ones(len(chosen)))[0]
    return Trial(
        errors=ratios[judges] - 1,
        linear=weighted[judges] @ linear - 1,
        covered=np.abs(np.log(ratios[judges])) <= log_error,
        stated=float(np.expm1(log_error)),
        floor=np.array([ratios[n] / beside(ratios, n) for n in judges]) - 1,
    )


def beside(ratios: Floats, number: int) -> float:
    """The median of a row's neighbours, without itself."""
    near = np.arange(max(0, number - BESIDE), min(len(ratios), number + BESIDE + 1))
    return float(np.median(ratios[near[near != number]]))


def space_of(name: str) -> TranslationSpace:
    """That of the file's task, with all sizes that its networks were drawn from."""
    task = re.match(r"([a-z]+\d\d)([a-z]{4})_", name)
    wanted = f"hat-{task[1]}-{task[2]}" if task else ""
    space = next((space for space in HAT if space.name == wanted), HAT_WMT14_ENDE)
    return replace(space, ffns=(512, 1024, 2048, 3072), heads=(2, 4, 8))


def arch_of(space: TranslationSpace, measured: Measured) -> Arch:
    encoder = [block for block in measured.blocks if isinstance(block, EncoderLayer)]
    decoder = [block for block in measured.blocks if isinstance(block, DecoderLayer)]
    beyond = (0,) * (space.depths[-1] - len(decoder))
    parts = {
        "encoder_embed": (encoder[0].embed,),
        "decoder_embed": (decoder[0].embed,),
        "encoder_ffn": tuple(block.ffn for block in encoder),
        "encoder_heads": tuple(block.heads for block in encoder),
        "decoder_ffn": (*(block.ffn for block in decoder), *beyond),
        "decoder_heads": (*(block.heads for block in decoder), *beyond),
        "cross_heads": (*(block.cross_heads for block in decoder), *beyond),
        "cross_layers": (*(block.cross_layers for block in decoder), *beyond),
    }
    return Arch(encoder[0].tokens, (len(decoder),), others=tuple(sorted(parts.items())))


def linear_terms(measured: Measured) -> list[float]:
    """HAT's features as sums over layers: what one would try first."""
    encoder = [block for block in measured.blocks if isinstance(block, EncoderLayer)]
    decoder = [block for block in measured.blocks if isinstance(block, DecoderLayer)]
    embed, ffn = decoder[0].embed, sum(block.ffn for block in decoder)
    return [
        *(1, encoder[0].embed, embed),
        *(sum(block.ffn for block in encoder), sum(block.heads for block in encoder)),
        *(len(decoder), len(decoder) * embed, ffn, ffn * embed / 1000),
        sum(block.heads for block in decoder),
        sum(block.cross_heads for block in decoder),
        sum(block.cross_layers for block in decoder),
    ]


if __name__ == "__main__":
    main()
