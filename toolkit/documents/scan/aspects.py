"""Labels of what a need depends on: sizes, precisions, methods, batches, lengths."""

from __future__ import annotations

import re
from typing import Final

ASPECT: Final = re.compile(
    r"\W*(?:(?:[\w.-]+ )?[0-9]{1,4}(?:\.[0-9]{1,2})?[BM](?: model)?"
    r"|(?:(?:fp|bf|int|float|uint|q|w|i)-?[0-9]{1,2}(?:[_a-z]\w*)?(?: ?/ ?)?){1,3}"
    r"|[0-9]{1,2}-?bits?|nf4|fp4|mxfp4|awq|gptq|q?-?lora|full(?: fine-?tun\w+| ft)?"
    r"|(?:bs|sl|batch(?: size)?|seq(?:uence)?(?:[ _]len(?:gth)?)?|ctx) ?=? ?[0-9]{1,6}k?"
    r"|[0-9]{1,3}k|[0-9]{2,6}(?: tokens)?|half|single|ddp|fsdp|zero-?[123])\W*",
    re.IGNORECASE,
)
"""Headings of columns that vary what a need depends on: sizes, precisions, methods, batches, lengths."""

ASPECT_LABEL: Final = re.compile(rf"(?:{ASPECT.pattern}|\W*[0-9.]+[BM] models?\W*)[:：=—–-]\W*", re.IGNORECASE)
"""The same before an amount in a list: "7B: 16 GB"."""
