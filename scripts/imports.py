"""Which of the project's modules each one imports, read from its source: nothing is run."""

from __future__ import annotations

import ast
from collections.abc import Container, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def modules(package: str = "mmer") -> list[str]:
    """All modules of a package, by dotted name."""
    return sorted(_name(path) for path in (ROOT / package).rglob("*.py"))


def path_of(module: str) -> Path:
    """A module's file, relative to the repository."""
    found = Path(*module.split("."))
    return found / "__init__.py" if (ROOT / found).is_dir() else found.with_suffix(".py")


@cache
def imports(module: str) -> frozenset[str]:
    """The project's modules that this one imports when it runs, at its top or inside a function.

    What is imported for type checkers alone does not count.
    """
    return frozenset(_imports(ast.parse((ROOT / path_of(module)).read_text(encoding="utf-8"))))


def reached(*start: str, stop: Container[str] = (), asked: Container[tuple[str, str]] = ()) -> set[str]:
    """All modules that these reach by imports, themselves included.

    Args:
        stop: modules that are left out, with what only they reach.
        asked: single imports, by who imports what, that are not followed.
    """
    found, ahead = set[str](), list(start)
    while ahead:
        module = ahead.pop()
        if module not in found and module not in stop:
            found.add(module)
            ahead += [other for other in imports(module) if (module, other) not in asked]
    return found


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if _is_ours(alias.name))
        elif isinstance(node, ast.ImportFrom) and node.module and _is_ours(node.module):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if (ROOT / path_of(inner)).is_file() else node.module
        yield from _imports(node)


def _is_ours(module: str) -> bool:
    return module.split(".")[0] in ("mmer", "stages", "scripts", "service")


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
