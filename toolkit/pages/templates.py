"""The templates: found beside this module in an installed package, and at the top of a checkout."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from toolkit.pages.marks import one_line

_PLACES = (Path(__file__).parent / "templates", Path(__file__).parents[2] / "templates")
_MARKDOWN = re.compile(r"[\\`*_{}\[\]<>#|~&!$]")


def folder() -> Path:
    """The folder of the templates."""
    return next(place for place in _PLACES if (place / "index.md.j2").is_file())


@cache
def environment() -> Environment:
    """Jinja with every value escaped for HTML, `md` for Markdown text, and no name taken for empty."""
    made = Environment(
        loader=FileSystemLoader(folder()),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        comment_start_string="{##",  # "{#" begins the id of a heading
        comment_end_string="##}",
    )
    made.filters["md"] = markdown_text
    made.filters["front_matter"] = front_matter
    made.filters["html_title"] = lambda text: str(escape(text))
    return made


def rendered(template: str, **values: object) -> str:
    """A page from a template of that name."""
    text: str = environment().get_template(template).render(**values)
    return text


def assets() -> Iterable[tuple[str, bytes]]:
    """The static files that pages need: their paths in the site, and their contents."""
    for path in sorted((folder() / "assets").iterdir()):
        yield f"assets/{path.name}", path.read_bytes()


def markdown_text(text: object) -> Markup:
    """Text escaped for Markdown and HTML by character references."""
    return Markup(_MARKDOWN.sub(lambda found: f"&#{ord(found.group())};", one_line(str(text))))  # noqa: S704 - escaped here


def html(text: str) -> Markup:
    """HTML that this package made from escaped text."""
    return Markup(text)  # noqa: S704 - only what weave and markdown made


def front_matter(values: dict[str, object]) -> Markup:
    """A YAML header between lines of hyphens."""
    body = yaml.safe_dump(values, sort_keys=False, allow_unicode=False, width=10_000)
    return Markup(f"---\n{body}---\n")  # noqa: S704 - YAML, whose strings are quoted by its own writer
