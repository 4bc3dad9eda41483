"""The name of a source: that of its file and of its folder."""

from __future__ import annotations

import re

from toolkit.spec.walk import is_passed_over

MAX_SLUG = 100
_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?<!\.)")


def slug_problem(slug: str) -> str | None:
    """Why no folder of readings may be called so; None where one may."""
    if len(slug) > MAX_SLUG or not _SLUG.fullmatch(slug):
        return f"a source is called by letters, digits, '-', '_' and '.', at most {MAX_SLUG}: rename the file"
    if is_passed_over(slug):
        return "folders of that name are passed over when readings are looked for: rename the file"
    return None
