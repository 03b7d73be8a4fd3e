"""Who may import whom, and what must not be imported at all."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "harness"
# Each room with the rooms it may import, directly; what those may, it may too.
MAY_IMPORT = {
    "errors": (),
    "hints": ("errors",),
    "locks": (),
    "orphans": (),
    "files": ("errors", "locks"),
    "progress": (),
    "quantities": ("errors",),
    "own_code": ("errors",),
    "registry": ("hints",),
    "schema": (),
    "spaces": ("own_code", "registry"),
    "networks": ("spaces", "files", "schema"),
    "supernet": ("networks",),
    "training": ("supernet", "progress", "orphans"),
    "tables": ("spaces", "files", "schema", "hints"),
    "transports": ("errors", "hints", "locks", "registry", "schema"),
    "runtimes": ("networks", "transports", "progress", "orphans", "registry"),
    "memory": ("runtimes",),
    "graphs": ("runtimes",),
    "device": ("memory",),
    "measuring": ("device", "tables", "progress"),
    "predictors": ("measuring", "training", "graphs"),
    "searching": ("predictors",),
    "deploy": ("searching", "quantities"),
    "carbon": ("runtimes", "training"),
    "reports": ("deploy", "carbon"),
    "workspace": ("files",),
    "effort": ("measuring",),
    "pipeline": ("reports", "workspace", "effort", "quantities"),
    "api": ("pipeline",),
    "cli": ("pipeline",),
    "__main__": ("cli",),
}
NOT_IN_PIPELINE = {"rich", "typer", "sys", "logging"}
NO_TORCH = ("spaces", "tables", "searching")


def allowed(room: str) -> set[str]:
    """Everything that `room` may import, through others too."""
    found = {room}
    for other in MAY_IMPORT[room]:
        found |= allowed(other)
    return found


def imports(path: Path) -> set[str]:
    """Modules that the file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            module = node.module or ""
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return found


def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_file_imports_only_what_lies_to_its_left(path: Path) -> None:
    room = room_of(path)
    if room == "__init__":
        return
    for module in imports(path):
        package, _, rest = module.partition(".")
        imported = rest.partition(".")[0]
        if package == "harness" and imported != "__version__":
            assert imported in allowed(room), f"{path} imports {module}"


PIPELINE = sorted((PACKAGE / "pipeline").glob("*.py"))


@pytest.mark.parametrize("path", PIPELINE, ids=lambda path: path.name)
def test_the_pipeline_shows_nothing_and_makes_no_lines_for_users(path: Path) -> None:
    """Words are `cli/words`'s; what is told meanwhile are notices (`pipeline/notices.py`)."""
    assert not {module.partition(".")[0] for module in imports(path)} & NOT_IN_PIPELINE
    tree = ast.parse(path.read_text())
    called = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert not any(isinstance(each, ast.Name) and each.id == "print" for each in called)
    assert not any(isinstance(each, ast.Attribute) and each.attr == "say" for each in called)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    assert not [each.name for each in functions if each.name.startswith("describe")]
    returned = [ast.unparse(each.returns) for each in functions if each.returns]
    assert not [each for each in returned if each in ("Iterator[str]", "list[str]")]


@pytest.mark.parametrize("room", NO_TORCH)
def test_spaces_tables_and_search_import_no_torch(room: str) -> None:
    for path in (PACKAGE / room).rglob("*.py"):
        assert not any(module.split(".")[0] == "torch" for module in imports(path)), path


def test_modules_that_need_no_torch_do_not_load_it() -> None:
    code = (
        "import sys\n"
        "import harness.pipeline.steps, harness.searching.archive, harness.reports.page\n"
        "import harness.cli.terminal, harness.api\n"
        "print([m for m in ('torch', 'onnxruntime', 'sklearn', 'onnx') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_help_imports_no_heavy_library() -> None:
    code = (
        "import sys\nsys.argv = ['harness', '--help']\nimport harness.cli\n"
        "try:\n    harness.cli.main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "heavy = ('torch', 'onnxruntime', 'onnx', 'matplotlib', 'sklearn', 'numpy', 'pydantic')\n"
        "print('loaded:', [name for name in heavy if name in sys.modules])"
    )
    output = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert "Usage" in output
    assert output.splitlines()[-1] == "loaded: []"


ON_TARGET = [*sorted((PACKAGE / "runtimes/agent").glob("*.py")), PACKAGE / "networks/layers.py"]
RUNTIMES_THERE = {
    *("MNN", "executorch", "ncnn", "openvino", "torch", "numpy", "onnxruntime"),
    "mlperf_loadgen",
}


@pytest.mark.parametrize("path", ON_TARGET, ids=lambda path: path.name)
def test_what_runs_on_the_target_stays_within_python_3_6_and_imports_nothing_of_ours(
    path: Path,
) -> None:
    ast.parse(path.read_text(), feature_version=(3, 6))
    ours = {each.stem for each in ON_TARGET}
    needed = {module.partition(".")[0] for module in imports(path)}
    assert needed - ours - RUNTIMES_THERE <= sys.stdlib_module_names


def test_the_agent_needs_only_the_standard_library_until_a_runtime_is_opened() -> None:
    """What is imported at once, and what that imports, file by file."""
    seen, todo = set(), ["__main__"]
    while todo:
        name = todo.pop()
        path = PACKAGE / "runtimes/agent" / f"{name}.py"
        if name in seen or not path.exists():
            assert name in seen or name in sys.stdlib_module_names, name
            continue
        seen.add(name)
        todo += [module.partition(".")[0] for module in imports(path)]
    assert "operations" in seen
    assert "with_torch" not in seen
