"""Untrusted Markdown as HTML without active content: no raw HTML, no scripts, no images, no local links."""

from __future__ import annotations

import re
from collections.abc import Iterator, MutableMapping, Sequence
from functools import cache
from html import escape
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict

from toolkit.frozen import frozen
from toolkit.pages.anchors import ANCHOR

SAFE_LINK = re.compile(r"(?:https?://|mailto:)", re.IGNORECASE)
_COMMENT = re.compile(r"\s*<!--(?:(?!-->).)*-->\s*", re.DOTALL)
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_NOT_IN_SLUG = re.compile(r"[^\w\- ]")
HEADING_PREFIX = "in-"
"""The prefix of ids of a document's headings, so that none can be an id of the site's own."""


@frozen
class Block:
    """A piece of a document as HTML: one of its headings, or what stands between two."""

    html: str
    level: int = 0
    id: str = ""
    text: str = ""


class _Renderer(RendererHTML):
    """Renders raw HTML of the document as text."""

    def html_inline(
        self, tokens: Sequence[Token], idx: int, _options: OptionsDict, _env: MutableMapping[str, Any]
    ) -> str:
        """Renders a line break as such, a comment as nothing, and any other tag as text."""
        content = tokens[idx].content
        if _BREAK.fullmatch(ANCHOR.sub("", content)):
            return f"{_anchors(content)}<br>"
        return _anchors(content) if _is_comment(content) else escape(content)

    def html_block(
        self, tokens: Sequence[Token], idx: int, _options: OptionsDict, _env: MutableMapping[str, Any]
    ) -> str:
        """Renders a comment as nothing, and any other block as its source."""
        content = tokens[idx].content
        return _anchors(content) if _is_comment(content) else f'<pre class="vt-source">{escape(content)}</pre>\n'

    def fence(self, tokens: Sequence[Token], idx: int, _options: OptionsDict, _env: MutableMapping[str, Any]) -> str:
        """Renders code without its language, which would become a CSS class of the page."""
        return f"<pre><code>{escape(tokens[idx].content)}</code></pre>\n"

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]) -> str:
        """Renders the alternative text of an image: pages load nothing that a document names."""
        text = self.renderInlineAsText(tokens[idx].children or [], options, env)
        return f'<span class="vt-image">[image: {escape(text)}]</span>'


def _is_comment(content: str) -> bool:
    return _COMMENT.fullmatch(ANCHOR.sub("", content)) is not None


def _anchors(content: str) -> str:
    """The anchors of a piece that is not shown: a mark that begins before it may end in it."""
    return "".join(ANCHOR.findall(content))


@cache
def parser() -> MarkdownIt:
    """CommonMark with GFM's tables and struck text."""
    return MarkdownIt("commonmark", renderer_cls=_Renderer).enable(["table", "strikethrough"])


def blocks(tokens: Sequence[Token]) -> Iterator[Block]:
    """A document's tokens as headings and the pieces between them, in order."""
    taken: dict[str, int] = {}
    pending: list[Token] = []
    position = 0
    while position < len(tokens):
        token = tokens[position]
        if token.type == "heading_open" and token.level == 0:
            yield from _between(pending)
            yield _heading(token, tokens[position + 1], taken)
            pending, position = [], position + 3
        else:
            pending.append(token)
            position += 1
    yield from _between(pending)


def _between(tokens: list[Token]) -> Iterator[Block]:
    if tokens:
        yield Block(_rendered(tokens))


def _heading(opening: Token, inline: Token, taken: dict[str, int]) -> Block:
    text = parser().renderer.renderInlineAsText(inline.children or [], parser().options, {})  # type: ignore[attr-defined]  # the protocol of renderers leaves it out
    slug = _slug(text)
    count = taken[slug] = taken.get(slug, -1) + 1
    name = f"{slug}-{count}" if count else slug
    return Block(_rendered([inline]), int(opening.tag[1:]), HEADING_PREFIX + name, text)


def _slug(text: str) -> str:
    """The id of a heading, by the letters, digits and hyphens of its text."""
    return _NOT_IN_SLUG.sub("", text.strip().lower()).replace(" ", "-") or "section"


def _rendered(tokens: Sequence[Token]) -> str:
    for token in tokens:
        if token.children:
            token.children = list(_links_apart(token.children))
    return str(parser().renderer.render(tokens, parser().options, {}))


def _links_apart(children: Sequence[Token]) -> Iterator[Token]:
    """Inline tokens with links to the web or within the document only; other links become their text."""
    kept: list[bool] = []
    for token in children:
        if token.type == "link_open":
            target = _target(str(token.attrs.get("href", "")))
            kept.append(target is not None)
            if target is None:
                continue
            token.attrs = {"href": target, "rel": "nofollow noopener noreferrer"}
        elif token.type == "link_close" and not kept.pop():
            continue
        yield token


def _target(address: str) -> str | None:
    if address.startswith("#"):
        return f"#{HEADING_PREFIX}{address[1:]}"
    return address if SAFE_LINK.match(address) else None
