"""What `toolkit scan` finds in the labelled documents: how well, and that it gets no worse."""

import re

import pytest

from tests.documents.corpus.score import BLIND, NOISE, documents, labels, score, text_of

PRECISION = 0.98
RECALL = 0.97
NAMED = 0.89
"""Of the documents that were seen while the scanner was built; what is reached is a little more."""

BLIND_PRECISION = 0.95
BLIND_RECALL = 0.90
QUANTITIES = frozenset(
    {
        "peak_memory",
        "weights",
        "gradients",
        "optimizer_states",
        "activations",
        "kv_cache",
        "overhead",
        "adapters",
        "master_weights",
    }
    | {"gpu_memory", "host_memory", "disk", "fits", "change"}
    | {"parameters", "trainable_parameters", "trainable_share"}
)


def shares(names: list[str]) -> tuple[float, float, float]:
    scores = [score(name) for name in names]
    counts = ((one.found, one.claims, one.named, len(one.hits)) for one in scores)
    found, claims, named, hits = (sum(numbers) for numbers in zip(*counts, strict=True))
    return hits / found, hits / claims, named / hits


def test_precision_and_recall_of_the_seen_documents() -> None:
    precision, recall, named = shares([name for name in documents() if name not in BLIND])
    assert precision >= PRECISION
    assert recall >= RECALL
    assert named >= NAMED


def test_precision_and_recall_of_the_blind_documents() -> None:
    precision, recall, _ = shares(list(BLIND))
    assert precision >= BLIND_PRECISION
    assert recall >= BLIND_RECALL


@pytest.mark.parametrize("name", documents())
def test_labels_stand_where_they_say_and_no_number_is_without(name: str) -> None:
    lines = text_of(name).split("\n")
    covered: dict[int, set[int]] = {}
    for label in labels(name):
        assert label.label in QUANTITIES | {NOISE}
        columns = label.columns
        assert lines[label.line - 1][columns.start - 1 : columns.stop - 1] == label.text
        covered.setdefault(label.line, set()).update(columns)
    for number, line in enumerate(lines, start=1):
        digits = {found.start() + 1 for found in re.finditer(r"[0-9]", line)}
        assert digits <= covered.get(number, set()), (number, line)


def test_the_corpus_is_large_and_varied() -> None:
    assert len(documents()) - len(BLIND) >= 12
    assert len(BLIND) >= 4
    assert set(BLIND) <= set(documents())
    assert sum(label.label == NOISE for name in documents() for label in labels(name)) > 500
