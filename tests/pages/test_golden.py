"""Each folder under golden/ is a document with its spec and the pages that are made of it, as committed."""

from pathlib import Path

import pytest

from tests.pages.build import GOLDEN, pages_of

HOW = "if that is meant, update the files: pytest tests/pages --update-golden, and read the difference"
CASES = ["hostile", "small"]


@pytest.mark.parametrize("case", CASES)
def test_pages_are_as_committed(case: str, update_golden: bool) -> None:
    made = {path: content for path, content in pages_of(GOLDEN / case).items() if not path.startswith("assets/")}
    expected = GOLDEN / case / "expected"
    if update_golden:
        _update(expected, made)
    committed = {path.relative_to(expected).as_posix(): path for path in expected.rglob("*") if path.is_file()}
    assert committed.keys() == made.keys(), HOW
    for path, content in made.items():
        assert content.decode() == committed[path].read_text("utf-8"), HOW


def test_same_input_gives_the_same_bytes() -> None:
    assert pages_of(GOLDEN / "small") == pages_of(GOLDEN / "small")


def _update(expected: Path, made: dict[str, bytes]) -> None:
    for path in expected.rglob("*"):
        if path.is_file():
            path.unlink()
    for name, content in made.items():
        (expected / name).parent.mkdir(parents=True, exist_ok=True)
        (expected / name).write_bytes(content)
