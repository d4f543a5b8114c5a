"""docs/reference/ and the listing in docs/architecture.md: made from the code, and whole."""

import re
from collections.abc import Iterator

import pytest

from mmer.config import Block, Params
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
    spec, python = GraphSpec.of(Input()), PAGES[reference.REFERENCE / "python.md"]
    assert all(f"| `{port.name}` |" in python for port in (*spec.inputs, *spec.outputs))
    shown = re.findall(r"^## `mmer (.+)`$", PAGES[reference.REFERENCE / "cli.md"], re.MULTILINE)
    assert {"predict", "explain", "stream", "info"} <= set(shown)
