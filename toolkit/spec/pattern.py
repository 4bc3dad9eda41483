"""The syntax of a quote: what stands in the document word for word, the claimed value, and what may vary.

`{}` is the claimed value; what stands in its braces, `{94 GB}`, is a label for the reader and not compared.
`{*}` is any other text. `{{` and `}}` are braces of the document.
"""

from __future__ import annotations

import re

from toolkit.frozen import frozen

MAX_QUOTE = 2_000
"""Characters of a quote; a statement is a sentence or a table cell, not a page."""

_BRACE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


@frozen
class PatternError:
    """What is wrong with a quote, and at which character of it."""

    message: str
    offset: int = 0


def count_slots(text: str) -> int | PatternError:
    """How many slots of a quote hold a claimed value: none (the quote is the statement) or one."""
    if len(text) > MAX_QUOTE:
        return PatternError(f"is longer than {MAX_QUOTE:,} characters: quote the sentence that states the claim")
    slots, last, begun, fixed = 0, 0, False, False
    for brace in _BRACE.finditer(text):
        if brace.group() in ("{{", "}}"):
            fixed = True
            continue
        if brace.group(1) is None:
            return PatternError(f"has a lone {brace.group()}: a brace of the document is written twice", brace.start())
        if begun and last == brace.start():
            return PatternError("has two slots side by side: text between them says where one ends", brace.start())
        fixed = fixed or bool(text[last : brace.start()].strip())
        begun, last = True, brace.end()
        if brace.group(1).strip() != "*":
            slots += 1
            if slots > 1:
                return PatternError("has two slots: it claims one value, and {*} is text that may vary", brace.start())
    if not fixed and not text[last:].strip():
        return PatternError("has no text beside its slots" if begun else "is empty")
    return slots
