"""Drafts of short texts, judged and not, for the tests of this folder."""

from datetime import date
from pathlib import Path

from toolkit.checks.drafted import JudgedDraft, Target, judged_draft
from toolkit.documents.document import Document
from toolkit.documents.draft.drafted import DraftedClaim

ROOT = Path("/nowhere")
TODAY = date(2026, 11, 21)


def drafted(text: str) -> JudgedDraft:
    """The judged draft of a document."""
    return judged_draft(Document("guide.md", text), Target(ROOT / "guide.claims.yaml", ROOT, "guide.md"), TODAY)


def claim(text: str, quantity: str | None = None, at: int = 0) -> DraftedClaim:
    """One claim of the draft of a document."""
    claims = [one for one in drafted(text).draft.claims if quantity in {None, one.quantity}]
    return claims[at]


def fields(text: str, quantity: str | None = None, at: int = 0) -> dict[str, str]:
    """What the scenario of a claim says."""
    found = drafted(text).draft
    name = claim(text, quantity, at).scenario
    return {} if name is None else {field: one.value for field, one in found.scenarios[name].fields.items()}
