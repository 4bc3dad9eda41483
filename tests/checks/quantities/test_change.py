"""A change between two printed figures; what is open has no say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.build import Judged, judged

HEAD = 'values:\n  before: "Before {} it"\n  after: "after {} now"\n'


def change(folder: Path, before: str, after: str, sentence: str, head: str = "") -> Judged:
    """A sentence whose claim stands between bars, beside the two figures that it is about."""
    document = f"# G\n\nBefore {before} it was, after {after} now. {sentence}\n"
    start, _, end = sentence.split("|")
    quote = f"{start}|{{}}|{end}"
    return judged(
        folder,
        document,
        f'  - {{quantity: change, quote: "{quote}", from: before, to: after}}',
        head=head + HEAD,
    )


@pytest.mark.parametrize(
    ("before", "after", "sentence", "verdict"),
    [
        ("40 GB", "11.67 GB", "A |~71%| reduction.", "agrees"),  # 1 - 11.67 / 40 = 70.8 %
        ("40 GB", "11.67 GB", "A |~50%| reduction.", "disagrees"),
        ("40 GB", "11.67 GB", "A change of |-71%|.", "agrees"),
        ("40 GB", "11.67 GB", "It is |3.4x| smaller.", "agrees"),  # 40 / 11.67 = 3.43
        ("40 GB", "11.67 GB", "It is |2x| smaller.", "disagrees"),
        ("40 GB", "60 GB", "The 16-bit one is |50%| larger.", "agrees"),  # a hyphen is no minus
        ("40 GB", "60 GB", "It is |50%| smaller.", "disagrees"),
        ("60 GB", "40 GB", "It is |50%| larger.", "disagrees"),
        ("60 GB", "40 GB", "That cuts it by |33%|.", "agrees"),
        ("10 GB", "20 GB", "It is |2x| as much.", "agrees"),
        ("10 hours", "5 hours", "It is |2x| faster.", "agrees"),
        # a range is taken as printed: 1 - 10 / 24 = 58 % to 1 - 8 / 30 = 73 %
        ("24-30 hours", "8-10 hours", "It is |67%| faster.", "agrees"),
        ("24-30 hours", "8-10 hours", "It is |90%| faster.", "disagrees"),
        # of the speed: 30 / 10 is three times the speed; 2 / 3 of it is a third less
        ("30 hours", "10 hours", "It is |200%| faster.", "agrees"),
        ("30 hours", "10 hours", "It is |200%| less.", "disagrees"),
        ("30 hours", "10 hours", "It is |400%| faster.", "disagrees"),
        ("20 s", "30 s", "It is |33%| slower.", "agrees"),
        ("20 s", "30 s", "It is |50%| slower.", "agrees"),
        ("20 s", "30 s", "It is |80%| slower.", "disagrees"),
        # 0 to 67 % less time, 0 to 200 % more speed
        ("2-3 s", "1-2 s", "A |50%| speedup.", "agrees"),
        ("2-3 s", "1-2 s", "A |300%| speedup.", "disagrees"),
        ("69%", "77.1%", "It is |8 percentage points| higher.", "agrees"),  # 8.1
        ("69%", "77.1%", "It is |12%| higher.", "agrees"),  # 77.1 / 69 = 1.117
        ("69%", "77.1%", "It is |12 percentage points| higher.", "disagrees"),
        ("28 GB", "14 GiB", "It is |50%| less.", "agrees"),  # where GB means 2^30
        ("28 GB", "14 GiB", "It is |46%| less.", "agrees"),  # where it means 10^9: 14 × 1.0737 / 28 = 53.7 %
        ("28 GB", "14 GiB", "It is |40%| less.", "disagrees"),
        ("10 GB", "5 hours", "It is |50%| less.", "unchecked"),
        ("10 GB", "little", "It is |50%| less.", "unchecked"),
        ("at least 10 GB", "5 GB", "It is |50%| less.", "unchecked"),
        ("0 GB", "5 GB", "It is |50%| more.", "unchecked"),
        ("60 GB", "40 GB", "It is |50%| better.", "disagrees"),  # 33 % less
    ],
)
def test_change(tmp_path: Path, before: str, after: str, sentence: str, verdict: str) -> None:
    outcome = change(tmp_path, before, after, sentence).outcome
    assert outcome.verdict == verdict, outcome
    assert outcome.malformed is None


def test_the_change_that_the_figures_give_is_the_repair(tmp_path: Path) -> None:
    """39.5 to 40.5 and 11.665 to 11.675: 1 - 11.675 / 39.5 = 70.44 %, 1 - 11.665 / 40.5 = 71.20 %."""
    assert change(tmp_path, "40 GB", "11.67 GB", "A |50%| reduction.").outcome.repair == "print 70.44–71.20 %"


@pytest.mark.parametrize("text", ["half", "5 GB"])
def test_text_that_is_no_change_is_malformed(tmp_path: Path, text: str) -> None:
    result = change(tmp_path, "10 GB", "5 GB", f"It is |{text}| less.")
    assert result.codes == ["D204"]
    assert result.outcome.verdict == "unchecked"


def test_a_declared_reading_leaves_one_answer(tmp_path: Path) -> None:
    units = 'units: {GB: decimal, quote: "Before"}\n'
    assert change(tmp_path, "28 GB", "14 GiB", "It is |46%| less.", units).outcome.verdict == "agrees"
    assert change(tmp_path, "28 GB", "14 GiB", "It is |50%| less.", units).outcome.verdict == "disagrees"


@pytest.mark.parametrize(
    ("before", "after", "says", "verdict"),
    [
        ("8 GB", "2.5 GB", "less", "agrees"),
        ("8 GB", "2.5 GB", "more", "disagrees"),
        ("2.5 GB", "8 GB", "less", "disagrees"),
        ("2.5 GB", "8 GB", "more", "agrees"),
        ("8 GB", "8 hours", "less", "unchecked"),
        ("at least 8 GB", "2 GB", "less", "unchecked"),
    ],
)
def test_a_direction_is_claimed_without_a_figure(
    tmp_path: Path, before: str, after: str, says: str, verdict: str
) -> None:
    document = f"# G\n\nBefore {before} it was, after {after} now. Winner: |4-bit|.\n"
    claim = f'  - {{quantity: change, quote: "Winner: |{{}}|", from: before, to: after, subject: {{says: {says}}}}}'
    assert judged(tmp_path, document, claim, head=HEAD).outcome.verdict == verdict
