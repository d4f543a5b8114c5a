"""Write docs/reference/ and the listing in docs/architecture.md from the code: nothing in them is typed by hand."""

from __future__ import annotations

import argparse
import functools
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from mmer import cli
from mmer.config import Params
from mmer.labels import EMOTIONS
from mmer.runtime.config import Faces, Input, Media
from mmer.runtime.graph import ModelInfo
from mmer.runtime.spec import GraphSpec
from mmer.serving import protocol
from mmer.serving.answers import ANSWERS, CLOSE
from mmer.serving.openapi import document
from mmer.serving.settings import PREFIX, Settings
from scripts.docstrings import (
    Definition,
    Function,
    attributes,
    definition,
    fields,
    first_sentence,
    methods,
    one_line,
    paragraphs,
    signature,
)
from scripts.imports import ROOT, imports, modules, path_of

REFERENCE, ARCHITECTURE = Path("docs/reference"), Path("docs/architecture.md")
MADE = "<!-- Written by `python -m scripts.reference`: change the code, not this page. -->"
BEGIN, END = "<!-- begin: python -m scripts.reference -->", "<!-- end -->"
WIDTH = 100
"""Characters of a line of --help."""
REFERRED = "§"
"""Before the name of a class, where a link to its heading belongs."""
KINDS = {"integer": "int", "number": "float", "string": "str", "boolean": "bool"}
VALUE = ("type", "default", "bounds", "meaning")
#: What python.md shows of each module, in this order.
PUBLIC = {
    "mmer.runtime.recognizer": ("Recognizer", "explain_clip"),
    "mmer.runtime.results": ("Prediction", "Step", "Person", "Summary"),
    "mmer.runtime.utterances": ("UtteranceStart",),
    "mmer.runtime.stream": ("Stream",),
    "mmer.runtime.calibration": ("Calibration", "CalibrationError"),
    "mmer.runtime.graph": ("ModelInfo", "ModelError"),
    "mmer.runtime.media.errors": ("MediaError",),
    "mmer.client.sdk": ("Client", "AsyncClient", "BlockingSession", "RefusedError"),
    "mmer.client.listener": ("Listener",),
    "mmer.client.stream": ("connect", "Session", "StreamError", "LostError"),
}
#: The service's document is of a model; this one stands for any.
MODEL = ModelInfo(
    labels=EMOTIONS, input=Input(), media=Media(), faces=Faces(), modalities=("face", "voice"), version="", git="",
    status="experiment", corpora=(), drawings=False, partly_drawn=False, pairing="none", face_weights=None, licence="",
)  # fmt: skip
Node = Mapping[str, Any]


def pages() -> dict[Path, str]:
    """Each generated file, relative to the repository, with its text."""
    made = {"params.md": params, "cli.md": command_line, "python.md": python, "http.md": http}
    texts = {REFERENCE / name: f"{MADE}\n\n{page()}" for name, page in made.items()}
    before, _, rest = (ROOT / ARCHITECTURE).read_text(encoding="utf-8").partition(BEGIN)
    texts[ARCHITECTURE] = f"{before}{BEGIN}\n\n{listing()}\n{END}{rest.partition(END)[2]}"
    return {path: clickable(text, path) for path, text in texts.items()}


def params() -> str:
    """Every key of params.yaml."""
    schema = Params.model_json_schema()
    sections: dict[str, str] = {}  # by the class of a block, the dotted name under which it is described
    text = ["# params.yaml", "Every key, with its default. A key that is not written has its default."]
    text += block(schema, "", schema["$defs"], sections)
    for name in [name for name in schema["$defs"] if name not in sections]:  # values of a map
        text += block(schema["$defs"][name], name, schema["$defs"], sections)
    return linked(text, sections)


def block(schema: Node, dotted: str, blocks: Mapping[str, Node], sections: dict[str, str]) -> Iterator[str]:
    """A block of params.yaml, then those in it."""
    if dotted:
        sections[schema["title"]] = dotted
        yield f"{'#' * (2 + dotted.count('.'))} `{dotted}`"
        yield one_line(schema["description"])
    meanings = (attributes("mmer.config") | attributes("mmer.runtime.config"))[schema["title"]]
    if own := {key: node for key, node in schema["properties"].items() if "$ref" not in node}:
        yield table(["key", *VALUE], values(own, meanings))
    for key, node in schema["properties"].items():
        if "$ref" in node:
            yield from block(blocks[target(node)], f"{dotted}.{key}".lstrip("."), blocks, sections)


def command_line() -> str:
    """The --help of each command."""
    whole = cli.parser()
    commands = next(one for one in whole._actions if isinstance(one, argparse._SubParsersAction))
    text = ["# The command line", "`mmer` and its commands, as `--help` prints them."]
    for parser in (whole, *commands.choices.values()):
        parser.formatter_class = functools.partial(argparse.HelpFormatter, width=WIDTH)
        text.append(f"## `{parser.prog}`\n\n```\n{parser.format_help().rstrip()}\n```")
    return "\n\n".join(text) + "\n"


def python() -> str:
    """The public API: signatures and docstrings; the contract of the graph."""
    text = ["# Python", "What a program may use: `from mmer import Recognizer`; the rest by the module named here."]
    for module, names in PUBLIC.items():
        for name in names:
            text += [f"## `{name}`", f"`{module}.{name}`", *shown(definition(module, name))]
    text += ["## The graph", f"`mmer.onnx`, as `{GraphSpec.__module__}` states it. Sizes are those of the defaults of "
             f"[`input`](params.md#input). {attributes(GraphSpec.__module__)['TensorSpec']['shape']}"]  # fmt: skip
    spec = GraphSpec.of(Input(), affect=True)
    for title, ports in (("input", spec.inputs), ("output", spec.outputs)):
        rows = [[*(f"`{part}`" for part in str(port).split(" ", 2)), port.meaning] for port in ports]
        text.append(table([title, "dtype", "shape", "meaning"], rows))
    return "\n\n".join(text) + "\n"


def shown(node: Definition) -> Iterator[str]:
    """A function, or a class with its attributes and methods."""
    if isinstance(node, Function):
        yield f"```python\n{signature(node)}\n```"
    yield from paragraphs(node)
    if isinstance(node, Function):
        return
    if rows := [[f"`{name}`", f"`{kind}`" if kind else "", meaning] for name, kind, meaning in fields(node)]:
        yield table(["attribute", "type", "meaning"], rows)
    for method in methods(node):
        yield f"### `{node.name}.{method.name}`"
        yield from shown(method)


def http() -> str:
    """The service: routes, objects, messages, refusals, settings; with its default limits."""
    told = document(MODEL, Settings())
    text = ["# HTTP", "As the service says itself at `/docs.json` (OpenAPI), with its default limits. Live streams go "
            "through a [WebSocket](../protocol.md)."]  # fmt: skip
    for path, of_path in told["paths"].items():
        for method, route in of_path.items():
            text += [f"## `{method.upper()} {path}`", route["summary"].rstrip(".") + "."]
            text += [route["description"]] if "description" in route else []
            if "parameters" in route:
                query = {one["name"]: one["schema"] for one in route["parameters"]}
                meanings = {one["name"]: one["description"] for one in route["parameters"]}
                text.append(table(["query", *VALUE], values(query, meanings)))
            for form in (b["schema"] for b in route.get("requestBody", {}).get("content", {}).values()):
                text += [table(["form", "type", "meaning"], properties(form))] if "properties" in form else []
            text.append(table(["status", "answer"], [[s, one["description"]] for s, one in route["responses"].items()]))
    schemas = told["components"]["schemas"]
    text.append("## Objects")
    for name, schema in schemas.items():
        text += [f"### {name}", table(["field", "type", "meaning"], properties(schema))]
    hello = values(protocol.Hello.model_json_schema()["properties"], attributes(protocol.__name__)["Hello"])
    text += ["## `/stream`", f"Version {protocol.VERSION} of [the protocol](../protocol.md). The `hello` of a client:"]
    text += [table(["field", *VALUE], hello), "Binary messages, by their first byte:"]
    names = ("FRAME", "VOICE", "CAMERA_OFF", "MICROPHONE_OFF")
    kinds = [[str(getattr(protocol, name)), name.lower().replace("_", " ")] for name in names]
    text.append(table(["kind", "what"], kinds))
    closed = ", ".join(f"{number} for `{code}`" for code, number in CLOSE.items())
    text += ["## Refusals", f"The `code` of an error. A WebSocket is closed with {closed}; with 1008 for the others."]
    refusals = [[f"`{code}`", str(status), hint] for code, (status, hint) in ANSWERS.items()]
    text.append(table(["code", "HTTP status", "what to do"], refusals))
    text += ["## Settings", "Environment variables. An unknown one, or one out of bounds, stops the start."]
    meanings = attributes(Settings.__module__)["Settings"]
    variables = values(Settings.model_json_schema()["properties"], meanings, lambda name: PREFIX + name.upper())
    text.append(table(["variable", *VALUE], variables))
    return linked(text, {name: name for name in schemas})


def properties(schema: Node, within: str = "") -> Iterator[list[str]]:
    """Rows for the fields of an object, and of the objects in it."""
    for name, node in schema["properties"].items():
        if node.get("properties") and set(node["properties"]) != set(EMOTIONS):
            yield from properties(node, f"{within}{name}.")
        else:
            yield [f"`{within}{name}`", kind_of(node), node.get("description", "")]


def listing() -> str:
    """The rooms of mmer/, what each imports of the others, and the first sentence of each file."""
    rooms: dict[Path, list[str]] = {}
    for module in modules():
        rooms.setdefault(room(module), []).append(module)
    text = []
    for folder, inside in sorted(rooms.items()):
        own = ".".join(folder.parts)
        used = {room(other) for module in inside for other in imports(module)} - {folder, Path("mmer")}
        said = (
            f"{first_sentence(own)} It imports "
            + (", ".join(sorted(path.name for path in used)) or "no other room")
            + "."
        )
        rows = [
            [f"`{path_of(module).relative_to(folder)}`", first_sentence(module)] for module in inside if module != own
        ]
        text += [f"### `{folder}/`", said, table(["file", "what it is"], rows)]
    return "\n\n".join(text) + "\n"


def room(module: str) -> Path:
    """The folder below mmer/ that a module lies in; mmer/ itself for the files in it."""
    return Path(*path_of(module).parent.parts[:2])


def values(
    nodes: Mapping[str, Node], meanings: Mapping[str, str], named: Callable[[str], str] = str
) -> list[list[str]]:
    """A row for each value of a JSON schema: name, then what VALUE says."""
    return [
        [f"`{named(name)}`", kind_of(node), default_of(node), bounds_of(node), meanings.get(name, "")]
        for name, node in nodes.items()
    ]


def kind_of(node: Node) -> str:
    """The type of a value in a JSON schema."""
    if "$ref" in node:
        return f"{REFERRED}{target(node)}"
    if "enum" in node or "const" in node:
        return " or ".join(f"`{flow(value)}`" for value in node.get("enum", [node.get("const")]))
    if "anyOf" in node:
        return " or ".join(dict.fromkeys(kind_of(one) for one in node["anyOf"]))
    if "prefixItems" in node:
        return f"[{', '.join(kind_of(one) for one in node['prefixItems'])}]"
    if isinstance(node["type"], list):
        return " or ".join(kind_of({**node, "type": one}) for one in node["type"])
    if node["type"] == "array":
        return f"list of {kind_of(node['items'])}"
    if node["type"] == "object":
        inner = node.get("additionalProperties")
        return f"map to {kind_of(inner)}" if isinstance(inner, dict) else "map"
    return KINDS.get(node["type"], str(node["type"]))


def default_of(node: Node) -> str:
    """What a value is where nothing is given. Pydantic states none for maps, which are empty, and what is computed."""
    if "default" not in node:
        return "`{}`" if node.get("type") == "object" else ""
    return f"`{flow(node['default'])}`"


def bounds_of(node: Node) -> str:
    """What a JSON schema asks of a value beyond its type."""
    said = {"minimum": "≥ {:g}", "exclusiveMinimum": "> {:g}", "maximum": "≤ {:g}", "exclusiveMaximum": "< {:g}",
            "multipleOf": "multiple of {:g}", "minLength": "at least {} characters"}  # fmt: skip
    said |= {"minItems": "at least {}"} if "prefixItems" not in node else {}
    found = [words.format(node[key]) for key, words in said.items() if key in node]
    return ", ".join([*found, *filter(None, map(bounds_of, node.get("anyOf", ())))])


def target(node: Node) -> str:
    """The class that a JSON schema refers to."""
    return str(node["$ref"]).split("/")[-1]


def flow(value: object) -> str:
    """A value as params.yaml writes it."""
    if isinstance(value, str):
        return value
    text: str = yaml.safe_dump(value, default_flow_style=True, width=1000)
    return text.removesuffix("\n").removesuffix("\n...")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    cells = [header, ["---"] * len(header), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def linked(text: Iterable[str], headings: Mapping[str, str]) -> str:
    """A page of these paragraphs, in which the classes referred to are links to their headings."""
    page = "\n\n".join(text) + "\n"
    for name, heading in headings.items():
        anchor = re.sub(r"[^\w-]", "", heading.lower())
        page = page.replace(REFERRED + name, f"[`{heading}`](#{anchor})")
    return page


def clickable(text: str, path: Path) -> str:
    """A page in which the documents that docstrings name are links."""
    return re.sub(
        r"(?<![\w/`])docs/([\w/-]+)\.md",
        lambda found: f"[{found[1]}]({os.path.relpath(f'docs/{found[1]}.md', path.parent)})",
        text,
    )


def main() -> None:
    """Write them, or with --check fail where one is out of date."""
    parser = argparse.ArgumentParser(prog="python -m scripts.reference", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a page is out of date")
    check = parser.parse_args().check
    for path, text in pages().items():
        file = ROOT / path
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            if check:
                sys.exit(f"{path} is out of date: run python -m scripts.reference")
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
            print(f"{path}: written anew")


if __name__ == "__main__":
    main()
