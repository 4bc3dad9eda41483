"""The table of multiprocessors: every card in it is one of the table of GPUs, and each figure has a source."""

from __future__ import annotations

import pytest

from toolkit.facts.gpus import gpus
from toolkit.facts.multiprocessors import Multiprocessors, multiprocessor_table, multiprocessors_of


def test_every_entry_is_a_card_and_has_a_source() -> None:
    table = multiprocessor_table()
    architectures = {gpu.name: gpu.architecture for gpu in gpus()}
    for name, entry in table["gpus"].items():
        assert architectures[name] in table["threads"], name
        assert 0 < entry["count"] < 200, name
        assert entry["source"], name


@pytest.mark.parametrize(
    ("gpu", "expected"),
    [
        ("T4", Multiprocessors(40, 1024)),
        ("A100", Multiprocessors(108, 2048)),  # all four cards of that name have as many
        ("RTX 3080 Ti Laptop GPU", Multiprocessors(58, 1536)),
        ("TITAN V", None),  # not in the table
        ("H100", None),  # one of its cards is not
        ("Voodoo 2", None),
    ],
)
def test_a_name_gives_what_all_its_cards_are_known_to_have(gpu: str, expected: Multiprocessors | None) -> None:
    assert multiprocessors_of(gpu) == expected
