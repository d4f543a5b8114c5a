"""Signatures and docstrings, read from source: nothing is run, and attributes have docstrings too."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from functools import cache
from itertools import pairwise

from scripts.imports import ROOT, path_of

Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = ast.ClassDef | Function


@cache
def parsed(module: str) -> ast.Module:
    """The source of a module of the project."""
    return ast.parse((ROOT / path_of(module)).read_text(encoding="utf-8"))


def definition(module: str, name: str) -> Definition:
    """A class or a function of a module."""
    return next(node for node in parsed(module).body if isinstance(node, Definition) and node.name == name)


def attributes(module: str) -> dict[str, dict[str, str]]:
    """Of each class of a module, its attributes and the docstrings below them."""
    classes = (node for node in parsed(module).body if isinstance(node, ast.ClassDef))
    return {node.name: {name: meaning for name, _, meaning in fields(node)} for node in classes}


def fields(node: ast.ClassDef) -> Iterator[tuple[str, str, str]]:
    """Of each public attribute: name, type (nothing where none is declared), meaning."""
    for one, after in pairwise([*node.body, None]):
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name) and not one.target.id.startswith("_"):
            yield one.target.id, ast.unparse(one.annotation), _text(after)
        if isinstance(one, ast.FunctionDef) and one.name == "__init__":
            for inner, below in pairwise([*one.body, None]):
                if isinstance(inner, ast.Assign) and isinstance(inner.targets[0], ast.Attribute) and _text(below):
                    yield inner.targets[0].attr, "", _text(below)


def methods(node: ast.ClassDef) -> Iterator[Function]:
    """Those that a user calls: what Python or pydantic calls is not."""
    for one in node.body:
        if isinstance(one, Function) and (not one.name.startswith("_") or one.name == "__aiter__"):
            yield one


def signature(node: Function) -> str:
    """`def name(arguments) -> type`, with its decorators."""
    empty = ast.parse("def name(): ..." if isinstance(node, ast.FunctionDef) else "async def name(): ...").body[0]
    assert isinstance(empty, Function)
    empty.name, empty.args, empty.returns, empty.decorator_list = (
        node.name,
        node.args,
        node.returns,
        node.decorator_list,
    )
    return ast.unparse(empty).removesuffix("...").rstrip().removesuffix(":")


def paragraphs(node: Definition) -> Iterator[str]:
    """A docstring in Google's style as Markdown, its sections as lists."""
    for part in (ast.get_docstring(node) or "").split("\n\n"):
        title, _, rest = part.partition("\n")
        if title in ("Args:", "Raises:", "Returns:"):
            entries = re.split(r"\n(?!\s)", textwrap.dedent(rest))
            yield f"{title}\n\n" + "\n".join(f"- {_entry(entry)}" for entry in entries)
        else:
            yield one_line(part)


def first_sentence(module: str) -> str:
    """That of a module's docstring."""
    text = one_line((ast.get_docstring(parsed(module)) or "").split("\n\n")[0])
    found = re.match(r".*?[.?](?= [A-Z`]|$)", text)
    return found[0] if found else text


def one_line(text: str) -> str:
    """Text whose line breaks mean nothing."""
    return " ".join(text.split())


def _entry(text: str) -> str:
    """`name: what it is`, with the name as code; a sentence as it is."""
    name, colon, rest = one_line(text).partition(": ")
    return f"`{name}`: {rest}" if colon and re.fullmatch(r"[\w.]+", name) else one_line(text)


def _text(node: ast.AST | None) -> str:
    """The text of a docstring; nothing where it is none."""
    value = node.value if isinstance(node, ast.Expr) else None
    return one_line(value.value) if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""
