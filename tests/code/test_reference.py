"""docs/reference/ and the listing in docs/architecture.md: made from the code, and whole."""

import re
from collections.abc import Iterator

import pytest

from mmer.config import Block, Params, leaves
from mmer.runtime.config import Input
from mmer.runtime.spec import GraphSpec
from mmer.serving.settings import Settings
from scripts import reference
from scripts.docstrings import attributes, first_sentence
from scripts.imports import ROOT, modules

PAGES = reference.pages()


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_the_page_is_what_the_command_writes(page: reference.Path) -> None:
    assert (ROOT / page).read_text(encoding="utf-8") == PAGES[page], "run python -m scripts.reference"


def blocks(block: type[Block]) -> Iterator[type[Block]]:
    yield block
    for field in block.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Block):
            yield from blocks(field.annotation)


def test_every_key_of_params_yaml_and_every_setting_has_a_meaning() -> None:
    for model in (*blocks(Params), Settings):
        meanings = attributes(model.__module__)[model.__name__]
        for name, field in model.model_fields.items():
            inner = isinstance(field.annotation, type) and issubclass(field.annotation, Block)
            assert inner or meanings[name], f"{model.__name__}.{name} needs a docstring below it"


def test_every_module_says_what_it_is() -> None:
    assert [module for module in modules() if not first_sentence(module)] == []


def test_the_reference_holds_every_port_of_the_graph_and_every_command() -> None:
    spec, python = GraphSpec.of(Input(), affect=True), PAGES[reference.REFERENCE / "python.md"]
    assert all(f"| `{port.name}` |" in python for port in (*spec.inputs, *spec.outputs))
    shown = re.findall(r"^## `mmer (.+)`$", PAGES[reference.REFERENCE / "cli.md"], re.MULTILINE)
    assert {"predict", "explain", "stream", "info"} <= set(shown)


def test_no_document_names_a_key_of_params_yaml_that_is_gone() -> None:
    known = [key.replace("validate_.", "validate.") for key in leaves(Params)]
    # Below these two are keys of maps; and a file's name is no key.
    maps = ("train.branches.", "tune.space.")
    roots = "|".join(field.alias or name for name, field in Params.model_fields.items())
    named = {
        (str(page), key)
        for page in [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
        for key in re.findall(rf"`((?:{roots})\.[a-z_.]+)", page.read_text(encoding="utf-8"))
        if not key.endswith((".py", ".md", ".yaml", ".json", ".csv"))
    }
    assert len(named) > 20, "this test reads nothing"
    assert [
        (page, key)
        for page, key in sorted(named)
        if not key.startswith(maps) and not any(one == key or one.startswith(f"{key}.") for one in known)
    ] == []
