import json
from fractions import Fraction
from pathlib import Path

import pytest

from toolkit.evidence.evidence import EvidenceKind
from toolkit.facts.accuracy import KINDS, SUBJECTS, error_record, known_error
from toolkit.spec.fields.peft_methods import column_of


def test_every_kind_of_evidence_has_its_errors():
    assert set(KINDS) == {kind.value for kind in EvidenceKind}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_error_is_recorded_with_its_reason(kind, subject):
    record = error_record(kind, subject)
    assert 0 <= record.error < 1
    assert isinstance(record.error, Fraction)
    assert record.floor or record.n >= 20
    assert len(record.source) > 20


def test_stronger_evidence_is_never_worse():
    for subject in SUBJECTS:
        assert known_error("exact", subject) == 0
        assert known_error("traced", subject) <= max(known_error("computed", subject), Fraction(2, 100))


def test_errors_are_exact_numbers():
    assert known_error("computed", "weights") == Fraction(1, 200)
    assert known_error("computed", "peak_full") == Fraction(1, 10)


ERRORS = Path(__file__).parents[2] / "specs/published/errors.json"
WHOLE = ("allocated", "reserved", "device")


@pytest.mark.parametrize("column", ["inference", "full", "lora", "qlora"])
def test_what_is_decided_about_peaks_is_no_less_than_what_published_readings_show(column):
    """Sources in which 95 % of the runs are within the error have 95 % of all runs, by the committed errors."""
    groups = [
        group
        for group in json.loads(ERRORS.read_text(encoding="utf-8"))["errors"]
        if group["complete"] and group["metric"] in WHOLE and column_of(group["group"].split()[1]) == column
    ]
    within = [group["runs"] for group in groups if group["p95"] <= known_error("computed", f"peak_{column}")]
    record = error_record("computed", f"peak_{column}")
    assert sum(within) >= 0.95 * sum(group["runs"] for group in groups)
    assert record.floor
    assert 20 <= record.n <= sum(group["runs"] for group in groups)


def test_an_unknown_name_is_a_mistake():
    with pytest.raises(LookupError, match="nearest: peak_full"):
        known_error("computed", "peak_ful")
    with pytest.raises(LookupError, match="measured"):
        known_error("guessed", "weights")
