"""Claims about the house: what each room may import, and that lists which are computed are up to date."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from scripts import dependencies
from scripts.imports import ROOT, imports, modules, path_of, reached

#: What each room of `mmer` may import of the others, beside itself: a whole room, or one module of it; "" is the
#: package itself. Each room stands above those that may import it.
GROUND = ("errors", "labels", "files", "reporting", "metrics")
MAY: dict[str, tuple[str, ...]] = {
    "errors": (),
    "labels": ("errors",),
    "files": (),
    "reporting": (),
    "metrics": ("labels",),
    "runtime": ("errors", "labels"),
    "config": ("errors", "labels", "runtime.config"),
    "serving": ("errors", "labels", "runtime", ""),
    "client": ("errors", "runtime", "serving.protocol"),
    "batch": ("errors", "files", "labels", "plots", "reporting", "runtime", ""),
    "plots": ("labels", "runtime.types", "runtime.results", "runtime.explain"),
    "model": ("config", "errors", "labels", "runtime.config", "runtime.grid"),
    "params": ("config", "data.corpora"),
    "data": (*GROUND, "config", "runtime"),
    "training": (*GROUND, "config", "data", "model", "runtime"),
    "evaluation": (*GROUND, "config", "data", "model", "plots", "runtime", "training"),
    "packaging": (*GROUND, "config", "data", "evaluation", "model", "runtime", "training", ""),
    "search": (*GROUND, "config", "data", "model", "packaging", "params", "plots", "runtime", "training"),
    "cli": (*GROUND, "batch", "client", "data", "evaluation", "packaging", "params", "plots", "runtime", ""),
    "": ("runtime.recognizer", "runtime.results"),
}
ALL = modules()


def room(module: str) -> str:
    """The room of a module: `mmer.runtime.grid` is in runtime; the package itself is in none."""
    return module.split(".")[1] if "." in module else ""


def inside(module: str) -> str:
    """A module without the package's name."""
    return module.partition(".")[2]


def test_each_room_imports_only_what_it_may() -> None:
    wrong = []
    for module in ALL:
        for other in imports(module):
            may = MAY[room(module)]
            if room(other) != room(module) and room(other) not in may and inside(other) not in may:
                wrong.append(f"{module} imports {other}")
    assert wrong == []
    assert {room(module) for module in ALL} == set(MAY), "each room has its rule"


def cycles() -> Iterator[list[str]]:
    """Modules that import each other, also by way of others: Tarjan's components of more than one."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []

    def visit(module: str) -> Iterator[list[str]]:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in sorted(imports(module)):
            if other not in index:
                yield from visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], index[other])
        if low[module] == index[module]:
            found = []
            while not found or found[-1] != module:
                found.append(stack.pop())
            if len(found) > 1:
                yield sorted(found)

    for module in ALL:
        if module not in index:
            yield from visit(module)


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert list(cycles()) == []


def test_the_runtime_and_what_serves_reach_no_data_and_no_training() -> None:
    served = reached("service", "mmer.client.stream", "mmer.client.playback")
    assert {room(module) for module in served if module != "service"} == {
        "",
        "errors",
        "labels",
        "runtime",
        "serving",
        "client",
    }


@pytest.mark.parametrize("module", ["mmer", "mmer.cli", "mmer.config", "mmer.params", "mmer.runtime.recognizer"])
def test_importing_it_loads_nothing_heavy(module: str) -> None:
    heavy = ("torch", "pandas", "matplotlib", "mlflow", "optuna", "great_expectations", "bentoml")
    code = f"import sys, {module}; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).strip() == "[]"


@pytest.mark.parametrize("pipeline", dependencies.PIPELINES, ids=str)
def test_the_stages_depend_on_the_code_that_they_reach(pipeline: dependencies.Path) -> None:
    assert (ROOT / pipeline).read_text() == dependencies.written(pipeline), "run python -m scripts.dependencies"


def test_what_is_left_out_of_the_stages_code_is_there() -> None:
    named = [*dependencies.LEFT_OUT, *(module for pair in dependencies.ASKED for module in pair)]
    assert [module for module in named if not (ROOT / path_of(module)).is_file()] == []
    assert [pair for pair in dependencies.ASKED if pair[1] not in imports(pair[0])] == [], "that import is gone"


def test_a_checkpoint_counts_only_while_all_code_that_decides_the_weights_is_the_same() -> None:
    from mmer.training.checkpoints import code

    told = {"mmer.config", "mmer.runtime.config"}  # their values are in the key
    decides = {path_of(module) for module in reached("mmer.training.fit", stop={"mmer.errors"}) - told}
    assert decides <= {path.relative_to(ROOT) for path in code()}
