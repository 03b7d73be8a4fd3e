import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from harness.effort import NORMAL, QUICK
from harness.errors import RecipeError, UsageError
from harness.spaces.catalogue import find_space
from harness.spaces.digits import DIGITS
from harness.spaces.space import Gene, Space
from harness.training.loop import _learning_rate
from harness.training.recipe_files import (
    RecipeFile,
    default_recipe,
    digits_recipe,
    load_recipe,
    recipe_for,
    shipped_recipes,
)
from harness.training.stages import Recipe, Stage
from harness.workspace import Workspace

IMAGENET = 1_281_167 - 10_000  # training images without those held out
OPEN = ("kernels", "depths", "expands", "widths")
GOOD = """title = "Mine"
source = "mine"
batch_size = 64
weight_decay = 0
momentum = 0.9
label_smoothing = 0.1
[[stages]]
name = "largest"
epochs = 2
subnets_per_step = 1
learning_rate = 0.1
[[stages]]
name = "all"
epochs = 3.5
subnets_per_step = 4
learning_rate = 0.2
warmup_epochs = 0.5
open = { kernels = "all", depths = 2 }
"""


def read(folder: Path, content: str | bytes) -> RecipeFile:
    path = folder / "mine.toml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return load_recipe(str(path))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recipes")


def opened(stage: Stage, space: Space) -> dict[str, int]:
    """How many choices of each part are open, by the gene that has most of them."""
    counts: dict[str, int] = {}
    for gene in space.genes:
        counts[gene.part] = max(counts.get(gene.part, 0), len(stage.open_choices(gene)))
    return counts


def test_a_stage_opens_the_largest_choices_of_each_gene() -> None:
    stage = Stage("s", 1, 1, 0.1, kernels=2, depths=None, expands=5)
    assert stage.open_choices(Gene("ks", 0, (3, 5, 7))) == (5, 7)
    assert stage.open_choices(Gene("d", 0, (2, 3, 4))) == (2, 3, 4)
    assert stage.open_choices(Gene("e", 0, (3, 4, 6))) == (3, 4, 6)
    assert stage.open_choices(Gene("w", 0, (0, 1, 2))) == (2,)
    assert stage.open_choices(Gene("r", 0, (128, 160))) == (128, 160)
    assert replace(stage, depths=2).open_choices(Gene("d", 5, (1,))) == (1,)


@pytest.mark.parametrize(
    ("steps", "each"),
    [  # as they were when the schedule was code
        (NORMAL.training_steps, [240, 96, 56, 128, 64, 216]),
        (QUICK.training_steps, [54, 22, 13, 29, 14, 49]),
    ],
)
def test_digits_train_as_long_as_before_recipes_were_files(steps: int, each: list[int]) -> None:
    recipe = digits_recipe(steps, seed=3, distill=0.5)
    assert [stage.steps for stage in recipe.stages] == each
    assert [stage.learning_rate for stage in recipe.stages] == [0.2, 0.15, 0.1, 0.15, 0.1, 0.2]
    assert [stage.subnets_per_step for stage in recipe.stages] == [1, 1, 2, 2, 4, 4]
    assert [stage.sort_channels for stage in recipe.stages] == [False] * 4 + [True] * 2
    settings = (recipe.batch_size, recipe.clip_norm, recipe.weight_decay, recipe.momentum)
    assert settings == (64, 5.0, 3e-5, 0.9)
    assert (recipe.seed, recipe.distill, recipe.label_smoothing) == (3, 0.5, 0.1)


@pytest.mark.parametrize("steps", [800, 180, 12, 1, 100_000])
def test_all_stages_of_digits_together_have_about_the_steps_asked_for(steps: int) -> None:
    assert abs(digits_recipe(steps).steps - steps) <= 6


def test_digits_open_kernel_then_depth_then_width() -> None:
    parts = [opened(stage, DIGITS) for stage in digits_recipe(12).stages]
    assert [(part["ks"], part["d"], part["e"]) for part in parts] == [
        (1, 1, 1),
        (3, 1, 1),
        (3, 2, 1),
        (3, 3, 1),
        (3, 3, 2),
        (3, 3, 3),
    ]


@pytest.mark.parametrize("name", ["ofa-mbv3", "ofa-proxyless"])
def test_mobile_spaces_are_trained_by_the_papers_schedule(name: str) -> None:
    recipe = recipe_for(load_recipe(name), IMAGENET)
    warmup = round(5 * IMAGENET / 2048)
    epochs = [stage.steps * 2048 / IMAGENET for stage in recipe.stages]
    assert epochs == pytest.approx([180, 125, 25, 125, 25, 125], abs=1e-3)
    assert [s.learning_rate for s in recipe.stages] == [2.6, 0.96, 0.08, 0.24, 0.08, 0.24]
    assert [s.subnets_per_step for s in recipe.stages] == [1, 1, 2, 2, 4, 4]
    assert [s.sort_channels for s in recipe.stages] == [False] * 4 + [True] * 2
    assert [s.warmup_steps for s in recipe.stages] == [warmup, warmup, 0, warmup, 0, warmup]
    assert (recipe.batch_size, recipe.distill, recipe.weight_decay) == (2048, 1.0, 3e-5)
    choices = [s.open_choices(Gene("d", 0, (2, 3, 4))) for s in recipe.stages]
    assert choices == [(4,), (4,), (3, 4), *[(2, 3, 4)] * 3]


# `RunConfig` of the package ofa 0.1.0 in the loop of its progressive_shrinking.train: the learning
# rate of a step, with the settings of train_ofa_net.py, 32 GPUs and 620 batches an epoch.
PHASE_1 = {0: 0.08, 1: 0.07999999918, 1550: 0.07804226065, 7750: 0.04}
PHASE_2 = {0: 0.007575, 1: 0.00765, 1550: 0.123825, 3099: 0.24, 3100: 0.24, 38750: 0.1278483755}
RELEASED_RATES = {
    "kernel": {0: 0.0303, 1: 0.0306, 1550: 0.4953, 3099: 0.96, 3100: 0.96, 38750: 0.511393502},
    "depth 1": PHASE_1,
    "depth 2": PHASE_2,
    "width 1": PHASE_1,
    "width 2": PHASE_2,
}


@pytest.mark.parametrize("name", ["ofa-mbv3", "ofa-proxyless"])
def test_every_step_has_the_learning_rate_of_the_released_code(name: str) -> None:
    stages = {stage.name: stage for stage in recipe_for(load_recipe(name), 620 * 2048).stages}
    for stage, rates in RELEASED_RATES.items():
        found = {step: _learning_rate(stages[stage], step) for step in rates}
        assert found == pytest.approx(rates, rel=1e-9)


def test_what_the_released_code_sets_is_set_and_a_recipe_that_differs_says_so() -> None:
    for name in ("ofa-mbv3", "ofa-proxyless", "ofa-resnet50"):
        file = load_recipe(name)
        told = (file.initialisation, file.teacher_in_training_mode, file.add_gradients)
        assert told == ("he_fout", True, True)
        # `dropout_rate` of OFAMobileNetV3, OFAProxylessNASNets and OFAResNets
        assert file.dropout == (0.0 if name == "ofa-resnet50" else 0.1)
    assert "Nothing is dropped" in load_recipe("ofa-resnet50").source
    digits = load_recipe("digits")
    assert (digits.dropout, digits.initialisation) == (0.0, "torch")
    for words in ("nothing is dropped", "torch draws", "running statistics", "no stage is warmed"):
        assert words in digits.source


def test_a_warm_up_begins_at_the_rate_for_one_gpu_whatever_the_batch() -> None:
    """As the released code does, whose `warmup_lr` is the rate for 64 images."""
    for batch_size, highest in ((2048, 0.96), (512, 0.24), (64, 0.03), (16, 0.0075)):
        kernel = recipe_for(load_recipe("ofa-mbv3"), IMAGENET, batch_size).stages[1]
        assert kernel.learning_rate == pytest.approx(highest)
        assert kernel.warmup_from == pytest.approx(min(0.03, highest))


def test_runs_of_digits_by_earlier_versions_are_found() -> None:
    """The settings decide where a run lies and whether its checkpoints and fronts go on."""
    workspace, sizes = Workspace(Path("root")), {"resolutions": list(DIGITS.resolutions)}
    found = [
        workspace.training("digits", digits_recipe(effort.training_steps).settings | sizes).name
        for effort in (QUICK, NORMAL)
    ]
    assert found == ["digits-c9a055d9", "digits-ab94a072"]  # before recipes told of dropout
    plain = digits_recipe(12)
    for other in (
        replace(plain, dropout=0.1),
        replace(plain, initialisation="he_fout"),
        replace(plain, teacher_in_training_mode=True),
        replace(plain, stages=(replace(plain.stages[0], warmup_from=0.01), *plain.stages[1:])),
    ):
        assert other.settings != plain.settings


@pytest.mark.parametrize(
    "name", ["digits", "ofa-mbv3-w1.0", "ofa-proxyless-w1.3", "ofa-resnet50", "ofa-resnet50-w0.5"]
)
def test_stages_open_one_part_after_another_until_the_whole_space_is_open(name: str) -> None:
    space = find_space(name)
    stages = recipe_for(load_recipe(default_recipe(space)), IMAGENET).stages
    first, last = stages[0], stages[-1]
    for gene in space.genes[1:]:
        assert first.open_choices(gene) == gene.choices[-1:]
        assert last.open_choices(gene) == gene.choices
    for before, after in pairwise(stages):
        more = [part for part in OPEN if getattr(before, part) != getattr(after, part)]
        assert len(more) == 1
        for gene in space.genes:
            assert set(before.open_choices(gene)) <= set(after.open_choices(gene))


def test_every_shipped_recipe_says_where_it_comes_from() -> None:
    assert set(shipped_recipes()) >= {"digits", "ofa-mbv3", "ofa-proxyless", "ofa-resnet50"}
    for name in shipped_recipes():
        file = load_recipe(name)
        assert file.name == name
        assert file.source.strip()
    assert load_recipe("ofa-resnet50").source.strip().startswith("Not published")


def test_a_batch_twice_as_large_takes_half_the_steps_at_twice_the_rate(folder: Path) -> None:
    file = read(folder, GOOD)
    recipe = recipe_for(file, 6400)
    assert [stage.steps for stage in recipe.stages] == [200, 350]
    assert recipe.stages[1].warmup_steps == 50
    twice = recipe_for(file, 6400, 128)
    assert twice.batch_size == 128
    assert [stage.steps for stage in twice.stages] == [100, 175]
    assert [stage.learning_rate for stage in twice.stages] == [0.2, 0.4]
    assert twice.stages[1].warmup_steps == 25


def test_a_shortened_run_keeps_the_rates(folder: Path) -> None:
    recipe = recipe_for(read(folder, GOOD), 6400, epochs_scale=0.1, seed=7, distill=0.25)
    assert [stage.steps for stage in recipe.stages] == [20, 35]
    assert [stage.learning_rate for stage in recipe.stages] == [0.1, 0.2]
    assert (recipe.seed, recipe.distill) == (7, 0.25)
    assert (recipe_for(read(folder, GOOD), 1).distill, recipe.clip_norm) == (0.0, None)


@given(
    name=st.sampled_from(sorted(shipped_recipes())),
    images=st.integers(1, 2_000_000),
    batch_size=st.none() | st.integers(1, 65_536),
    scale=st.floats(1e-6, 10),
)
def test_however_scaled_a_recipe_keeps_its_stages_and_each_has_a_step_at_the_full_rate(
    name: str, images: int, batch_size: int | None, scale: float
) -> None:
    file = load_recipe(name)
    recipe = recipe_for(file, images, batch_size, scale)
    assert [stage.name for stage in recipe.stages] == [stage.name for stage in file.stages]
    for stage in recipe.stages:
        assert 0 <= stage.warmup_steps < stage.steps
        assert stage.learning_rate > 0
    assert json.loads(json.dumps(recipe.settings)) == recipe.settings


def test_a_space_takes_the_recipe_of_its_family() -> None:
    for name, family in [
        ("digits", "digits"),
        ("ofa-mbv3-w1.2", "ofa-mbv3"),
        ("ofa-mbv3-w0.35", "ofa-mbv3"),
        ("ofa-proxyless-w1.3", "ofa-proxyless"),
        ("ofa-resnet50", "ofa-resnet50"),
        ("ofa-resnet50-w0.5-1.0", "ofa-resnet50"),
    ]:
        assert default_recipe(find_space(name)) == family
    assert default_recipe(replace(DIGITS, name="my-own")) == "digits"
    with pytest.raises(UsageError, match=r"my-own has no recipe of its own; name one: digits, "):
        default_recipe(replace(DIGITS, name="my-own", classes=7))


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("ofa-mbv2", "did you mean 'ofa-mbv3'"),
        ("", "known: digits, hat-small, images"),
        ("../recipes/digits", "no recipe called"),
        ("x" * 5000, "no recipe called"),
        ("x" * 5000 + ".toml", "cannot read"),
        ("\x00.toml", "cannot read"),
        ("nowhere/mine.toml", "cannot read nowhere/mine.toml"),
    ],
)
def test_a_recipe_that_is_not_there_is_a_clear_error(name: str, named: str) -> None:
    with pytest.raises(RecipeError, match=named):
        load_recipe(name)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (GOOD.replace("momentum", "momentun"), "unknown key 'momentun'; did you mean 'momentum'"),
        (
            GOOD.replace("warmup_epochs", "warmup_epoch"),
            r"'stages\.2\.warmup_epoch'; did you mean 'warmup_ep",
        ),
        (GOOD.replace("kernels", "kernel"), r"'stages\.2\.open\.kernel'; did you mean 'kernels'"),
        (GOOD.replace("64", "64.0"), "batch_size: Input should be a valid integer"),
        (GOOD.replace("64", '"64"'), "batch_size: Input should be a valid integer"),
        (GOOD.replace("64", "0"), "batch_size: "),
        (GOOD.replace("epochs = 2\n", "epochs = inf\n"), r"stages\.1\.epochs: "),
        (GOOD.replace("epochs = 2\n", "epochs = nan\n"), r"stages\.1\.epochs: "),
        (GOOD.replace("epochs = 2\n", f"epochs = 1{'0' * 400}\n"), r"stages\.1\.epochs: "),
        (GOOD.replace("epochs = 2\n", f"epochs = 1{'0' * 5000}\n"), "cannot read"),
        (GOOD.replace("epochs = 2\n", "epochs = 0\n"), r"stages\.1\.epochs: "),
        (GOOD.replace("warmup_epochs = 0.5", "warmup_epochs = 3.5"), "less than epochs"),
        (GOOD.replace("warmup_epochs", "warmup_from"), "warmup_from is above learning_rate"),
        ("dropout = 1.0\n" + GOOD, "dropout: "),
        ('initialisation = "he_fin"\n' + GOOD, "initialisation: "),
        ("teacher_in_training_mode = 1\n" + GOOD, "teacher_in_training_mode: "),
        (GOOD.replace('"all", d', '"any", d'), r"stages\.2\.open\.kernels: write how many"),
        (GOOD.replace("depths = 2", "depths = 0"), r"stages\.2\.open\.depths: write how many"),
        (GOOD.replace("depths = 2", "depths = true"), r"stages\.2\.open\.depths: write how many"),
        (GOOD.replace("depths = 2", "depths = []"), r"stages\.2\.open\.depths: write how many"),
        (GOOD.replace("momentum = 0.9", "momentum = 0"), "momentum: "),
        (GOOD.partition("[[stages]]")[0], "stages: Field required"),
        (GOOD.partition("[[stages]]")[0] + "stages = []\n", "stages: "),
        (GOOD.partition("[[stages]]")[0] + "stages = 3\n", "stages: "),
        (GOOD.partition("[[stages]]")[0] + "stages = [3]\n", r"stages\.1: "),
        ("x = " + "[" * 100_000, "cannot read"),
        ("title = ", "cannot read"),
        (b"title = '\xff'", "cannot read"),
    ],
)
def test_a_wrong_recipe_names_the_file_and_the_key(
    folder: Path, text: str | bytes, named: str
) -> None:
    with pytest.raises(RecipeError, match=named) as raised:
        read(folder, text)
    assert "mine.toml" in str(raised.value)
    assert "\n" not in str(raised.value)


TOML_VALUES = st.recursive(
    st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.sampled_from(["all", "", "digits"])
    | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*OPEN, "name", "epochs", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(content=st.binary(max_size=80) | st.text(max_size=80))
def test_garbage_is_a_recipe_error_and_never_another(folder: Path, content: str | bytes) -> None:
    data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    with pytest.raises(RecipeError, match=r"mine\.toml"):
        read(folder, data)


@given(
    key=st.sampled_from(sorted(RecipeFile.model_fields)),
    stage_key=st.sampled_from(["name", "epochs", "subnets_per_step", "warmup_epochs", "open"]),
    value=TOML_VALUES,
    in_stage=st.booleans(),
    images=st.integers(1, 10**7),
)
def test_any_value_at_any_key_is_a_recipe_error_or_a_recipe_that_can_be_run(
    folder: Path, key: str, stage_key: str, value: object, in_stage: bool, images: int
) -> None:
    stage: dict[str, object] = {
        "name": "s",
        "epochs": 1,
        "subnets_per_step": 1,
        "learning_rate": 0.1,
    }
    content: dict[str, object] = {
        "title": "Mine",
        "source": "mine",
        "batch_size": 64,
        "weight_decay": 0.0,
        "momentum": 0.9,
        "label_smoothing": 0.0,
        "stages": [stage],
    }
    (stage if in_stage else content)[stage_key if in_stage else key] = value
    try:
        file = read(folder, tomli_w.dumps(content))
    except RecipeError:
        return
    recipe = recipe_for(file, images)
    assert all(stage.steps >= 1 for stage in recipe.stages)
    assert json.loads(json.dumps(recipe.settings)) == recipe.settings


@pytest.mark.parametrize("name", sorted(shipped_recipes()))
def test_a_recipe_comes_back_from_its_settings(name: str) -> None:
    recipe = recipe_for(load_recipe(name), 10_000, seed=3, distill=0.5)
    assert Recipe.of(json.loads(json.dumps(recipe.settings))) == recipe
