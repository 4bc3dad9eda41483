"""What people write in a block of code: the comments, and what came back from a command."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from toolkit.documents.document import Document

_FENCE: Final = re.compile(
    r"[ \t>]*(?:[-*+][ \t]+)?(?:`{3,}|~{3,})[ \t]*(?:\{(?:code-block|code|sourcecode)\}[ \t]*)?\{?\.?([\w+-]*)"
)
_OUTPUT: Final = frozenset(
    {"", "text", "txt", "console", "output", "plaintext", "log", "math", "latex", "none", "plain"}
)
_SHELL: Final = frozenset(
    {"bash", "sh", "shell", "zsh", "shell-session", "shellsession", "bat", "cmd", "powershell", "terminal", "pycon"}
)
_COMMAND: Final = re.compile(
    r"\s*(?:[$>%#]\s|--?[A-Za-z]|[A-Z_]+=|```|~~~|(?:pip3?|python3?|torchrun|accelerate|deepspeed|docker|git|curl|wget|sudo"
    r"|export|apt|conda|cd|echo|import|from|def|class|return|if|for|print|with|>>>|\./)(?![A-Za-z]))|[^#]*\s--[a-z]|.*\\\s*\Z"
    r"|.*(?<![:=])=(?![=])\s?[\"'\[{(]|[^:=]*[\w\])]\(",
)
"""What a person types into a shell or an interpreter, not what comes back."""

_REPORT: Final = re.compile(
    r"v-?ram|memory|(?<![a-z])mem(?![a-z])|allocated|reserved|[0-9] ?MiB\s?/|parameters|params\b|显存|footprint|OOM"
    r"|(?:ctx|model|buffer|scratch) ?size",
    re.IGNORECASE,
)
_COMMENT: Final = re.compile(r"(?:(?m:^)|[ \t])(?:#|//)[ \t]+(.*)")
_DIVIDES: Final = re.compile(r"\s*//\s*\(")
MARKER: Final = re.compile(r"[ \t]*(?:[-*+]|[0-9]{1,9}[.)])[ \t]+(?:\[[ xX]\][ \t]+)?|[ \t]*#{1,6}[ \t]+")
"""What a list item or a heading begins with."""

_LINE: Final = 400
"""Characters of a line that are looked at to tell a command from what it prints."""


def spoken_lines(document: Document, shown: str, first: int, end: int) -> Iterator[tuple[int, int]]:
    """What people write in a block of code: the comments, or all of what is output; HTML is prose."""
    fence = _FENCE.match(document.unquoted, document.lines.starts[first])
    whole = fence is None or fence[1].casefold() in _OUTPUT
    session = fence is not None and (fence[1].casefold() in _SHELL)
    for line in range(first + (fence is not None), end):
        start, stop = document.lines.span(line)
        comment = _COMMENT.search(document.text, start, stop)
        if comment is not None and _spoken(
            document.text[start : comment.start()], document.text[comment.start() : stop]
        ):
            yield comment.start(1), stop
            continue
        said = whole or (session and _REPORT.search(shown, start, stop) is not None)
        if said and not _COMMAND.match(shown[start:stop][:_LINE]):
            marker = MARKER.match(shown, start, stop)
            yield (marker.end() if marker else start), stop


def _spoken(before: str, said: str) -> bool:
    """Whether a comment sign stands outside of a string, and "//" does not divide."""
    if _DIVIDES.match(said) and before.rstrip()[-1:].isdigit() | before.rstrip().endswith(")"):
        return False
    return before.count('"') % 2 == 0 and before.count("'") % 2 == 0


def is_output(document: Document, first: int) -> bool:
    """Whether a verbatim block is one of what a program printed, not of a language."""
    fence = _FENCE.match(document.unquoted, document.lines.starts[first])
    return fence is None or fence[1].casefold() in _OUTPUT | _SHELL


def is_html(document: Document, shown: str, first: int) -> bool:
    """Whether a verbatim block is one of HTML, which is prose to a reader."""
    fence = _FENCE.match(document.unquoted, document.lines.starts[first])
    return fence is None and shown[slice(*document.lines.span(first))].lstrip().startswith("<")
