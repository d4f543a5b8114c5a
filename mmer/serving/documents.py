"""Documents in Markdown as pages of this server."""

from __future__ import annotations

import html
from collections.abc import Collection
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

PAGE = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>{title} – mmer</title>
  <link rel="icon" href="data:,">
  <link rel="stylesheet" href="{root}style.css">
</head>
<body class="document">
  <header><nav aria-label="Back"><a href="{root}">mmer</a> · <a href="{source}">as plain text</a></nav></header>
  <main>
{body}  </main>
</body>
</html>
"""


def render(path: Path, source: str, root: str, files: Collection[str] = ()) -> str:
    """A Markdown file as a whole page; HTML in it is shown as text.

    Args:
        path: of the file, which begins with its title.
        source: where the page finds the file itself.
        root: where it finds the server's root, `./` or `../`.
        files: what the server has beside the page. A link or a picture that leads elsewhere below the file's folder
            is its words alone.
    """
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    text = path.read_text(encoding="utf-8")
    tokens = reader.parse(text)
    for token in tokens:
        if token.children:
            token.children = _only_to(files, token.children)
    body = reader.renderer.render(tokens, reader.options, {})
    body = body.replace("<table>", '<div class="wide" role="region" aria-label="Table" tabindex="0"><table>')
    body = body.replace("</table>", "</table></div>").replace("<pre>", '<pre tabindex="0">')
    title = text.lstrip("# ").partition("\n")[0]
    return PAGE.format(title=html.escape(title), root=root, source=html.escape(source), body=body)


def _only_to(files: Collection[str], tokens: list[Token]) -> list[Token]:
    kept, dropped = [], False
    for token in tokens:
        where = str(token.attrGet("href") or token.attrGet("src") or "")
        led = where.startswith(("https://", "http://", "#")) or where in files
        if token.type == "link_open":
            dropped = not led
        if (token.type == "link_open" and not led) or (token.type == "link_close" and dropped):
            continue
        if token.type == "image" and not led:
            kept.append(Token("text", "", 0, content=token.content))
        else:
            kept.append(token)
    return kept
