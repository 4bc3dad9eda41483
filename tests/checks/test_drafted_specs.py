"""Drafts of the documents of this repository, against the specs that people wrote for them.

The counts are those of the day on which the draft could do no better; they may rise.
"""

from datetime import date
from pathlib import Path
from typing import NamedTuple

import pytest

from toolkit.checks.drafted import Target, judged_draft
from toolkit.checks.judge import judge_spec
from toolkit.checks.judgement import Judgement, Verdict
from toolkit.documents.bind import bind
from toolkit.documents.document import Document, read_document
from toolkit.spec.load import load_spec

ROOT = Path(__file__).parents[2]
DOCUMENTS = ROOT / "specs" / "documents"
TODAY = date(2026, 11, 21)


class Floor(NamedTuple):
    """Claims drafted on the line and of the quantity of one by hand, those of them judged alike, drafted red ones."""

    found: int
    alike: int
    red: int


FLOORS = {
    "gpt-oss-20b": Floor(33, 9, 1),
    "jailbreak-detector-large": Floor(35, 26, 1),
    "llama-qwen-inference": Floor(124, 31, 1),
    "qwen2.5-coder-7b": Floor(49, 32, 4),
    "yi-34b-to-llama-2-13b": Floor(72, 16, 1),
}


def both(name: str) -> tuple[tuple[Judgement, ...], tuple[Judgement, ...]]:
    """The judgements of the draft, and of the spec."""
    folder = DOCUMENTS / name
    document = read_document(folder / "document.md", ROOT)
    spec, _ = load_spec(folder / "claims.yaml", ROOT)
    assert isinstance(document, Document)
    assert spec is not None
    drafted = judged_draft(document, Target(folder / "draft.claims.yaml", ROOT, "document.md", "draft"), TODAY)
    assert drafted.findings == ()
    assert drafted.report is not None
    return drafted.report.judgements, judge_spec(spec, bind(spec, document), TODAY).judgements


def key(judgement: Judgement) -> tuple[int, str]:
    return judgement.place.line, judgement.quantity


@pytest.mark.parametrize("name", sorted(FLOORS))
def test_a_draft_finds_much_and_marks_nothing_red_that_people_did_not(name: str) -> None:
    drafted, by_hand = both(name)
    red_by_hand = {key(one) for one in by_hand if one.verdict is Verdict.DISAGREES}
    red = {key(one) for one in drafted if one.verdict is Verdict.DISAGREES}
    assert red <= red_by_hand
    judged = {(key(one), one.verdict) for one in drafted}
    keys = {one for one, _ in judged}
    found = sum(key(one) in keys for one in by_hand)
    alike = sum((key(one), one.verdict) in judged for one in by_hand if one.verdict is not Verdict.UNCHECKED)
    reached = Floor(found, alike, len(red))
    assert all(now >= least for now, least in zip(reached, FLOORS[name], strict=True)), reached
