"""Recordings are shared by settings that would be recorded alike, and by no others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.contexts import contexts_of
from toolkit.memory.programs.programs import Programs
from toolkit.memory.tape import recording
from toolkit.memory.tape.recording import programs_of
from toolkit.spec.settings.setting import Setting, Stack

PLAIN, RECURRENT, ENCODER = "Qwen/Qwen2.5-0.5B", "Qwen/Qwen3-Next-80B-A3B-Instruct", "google-bert/bert-base-uncased"

OLDER = Stack("transformers", versions={"transformers": "4.48.0"})


def _recorded(model: str, length: int) -> Programs:
    facts = load_model(model)
    assert isinstance(facts, ModelFacts)
    setting = Setting(model, "full", "bf16", sequence_length=length)
    if model == ENCODER:  # with a mask, which this release adds to the scores
        setting = replace(setting, head="masked-lm", padding=True, stack=OLDER)
    [context] = contexts_of(setting, facts)
    return programs_of(context)


@pytest.mark.parametrize(
    ("model", "lengths"),
    [
        (PLAIN, (100, 4096)),
        (PLAIN, (7, 64)),
        (RECURRENT, (1000, 5000)),  # both of more pieces than are followed, the last of which is padded
        (ENCODER, (64, 128)),
    ],
)
def test_lengths_share_a_recording(model: str, lengths: tuple[int, int]) -> None:
    assert _recorded(model, lengths[0]) is _recorded(model, lengths[1])


@pytest.mark.parametrize(
    ("model", "lengths"),
    [
        (RECURRENT, (1024, 1000)),  # whole pieces, and a padded one
        (RECURRENT, (64, 128)),  # one piece, and two
        (ENCODER, (64, 65)),  # a bias of whole units, and one that is copied
    ],
)
def test_lengths_that_are_followed_otherwise_have_recordings_of_their_own(model: str, lengths: tuple[int, int]) -> None:
    assert _recorded(model, lengths[0]) is not _recorded(model, lengths[1])


@pytest.mark.parametrize("model", [PLAIN, RECURRENT, ENCODER])
def test_a_shared_recording_is_what_each_length_would_record(monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    """Recorded anew for each, it is the same wherever it would have been shared."""
    lengths, by_key = (7, 8, 64, 65, 128, 200, 1000, 5000), {}
    for length in lengths:
        monkeypatch.setattr(recording, "_PROGRAMS", {})
        made = _recorded(model, length)
        [key] = recording._PROGRAMS
        assert by_key.setdefault(repr(key), repr(made)) == repr(made)
    assert 1 <= len(by_key) < len(lengths)
