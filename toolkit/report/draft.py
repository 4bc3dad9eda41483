"""The summary of a draft: how much of it is judged, and its questions."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from toolkit.checks.drafted import JudgedDraft
from toolkit.checks.judgement import Verdict
from toolkit.report.json import as_json
from toolkit.report.terminal import line

_MOST = 8
_SAID = {Verdict.AGREES: "agree", Verdict.DISAGREES: "disagree", Verdict.DEPENDS: "depend"}


def draft_text(found: JudgedDraft, path: Path) -> str:
    """The file, the counts, and the most frequent questions."""
    draft, counts = found.draft, found.counts
    judged = ", ".join(f"{counts[verdict]} {word}" for verdict, word in _SAID.items())
    held = f"{_many(len(draft.claims), 'claim')} in {_many(len(draft.scenarios), 'scenario')}"
    shown = [f"{path}: {held}: {judged}, {counts[Verdict.UNCHECKED]} unchecked"]
    asked = _questions(found)
    shown += [f"  {count:>4} × {question}" for question, count in asked.most_common(_MOST)]
    if len(asked) > _MOST:
        shown.append(f"         and {len(asked) - _MOST} other questions")
    if draft.loose:
        shown.append(f"  {len(draft.loose):>4} figures are bound to nothing: the comments at its end list them")
    shown.append(f"check it: toolkit check {path}")
    return "".join(f"{line(one)}\n" for one in shown)


def draft_json(found: JudgedDraft, path: Path) -> str:
    """The same as JSON."""
    draft = found.draft
    return as_json(
        {
            "spec": path.as_posix(),
            "scenarios": list(draft.scenarios),
            "claims": [
                {"line": one.line, "quantity": one.quantity, "scenario": one.scenario, "question": one.question}
                for one in draft.claims
            ],
            "loose": [{"line": one.line, "text": one.text, "reason": one.why} for one in draft.loose],
            "counts": {verdict.value: count for verdict, count in found.counts.items()},
        }
    )


def _questions(found: JudgedDraft) -> Counter[str]:
    return Counter(claim.question for claim in found.draft.claims if claim.question is not None)


def _many(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
