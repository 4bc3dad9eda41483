"""The registries and the codes know each other."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from toolkit.checks.registry import CHECKERS
from toolkit.codes import CODES
from toolkit.codes.claim import CLAIM_CODES
from toolkit.codes.document import DOCUMENT_CODES
from toolkit.codes.evidence import EVIDENCE_CODES
from toolkit.codes.spec import SPEC_CODES
from toolkit.spec.fields.names import ABOUT_SCENARIO, QUANTITIES

PACKAGE = Path(__file__).parents[2] / "toolkit"
CODE = re.compile(r"[A-Z][0-9]{3}")
FAMILIES = re.compile(r"[SDEMPARWQK][0-9]{3}")
NO_CODES = {"A100", "H100", "P100", "V100", "T400", "A800", "H800", "B200", "B300", "H200"}
"""Names of graphics cards look like codes."""


def test_every_quantity_has_a_checker_and_every_checker_a_quantity() -> None:
    assert set(CHECKERS) == set(QUANTITIES)
    assert set(QUANTITIES) >= ABOUT_SCENARIO


def test_every_checker_has_a_code_of_its_own() -> None:
    codes = [checker.code for checker in CHECKERS.values()]
    assert len(set(codes)) == len(codes)
    assert set(codes) <= set(CODES)


def test_codes_are_given_once() -> None:
    entries = [entry.code for entry in (*SPEC_CODES, *DOCUMENT_CODES, *EVIDENCE_CODES, *CLAIM_CODES)]
    assert len(set(entries)) == len(entries)
    assert set(entries) == set(CODES)


@pytest.mark.parametrize("code", CODES)
def test_every_code_says_all(code: str) -> None:
    entry = CODES[code]
    assert entry.code == code
    assert FAMILIES.fullmatch(code)
    for text in (entry.title, entry.why, entry.repair, entry.example):
        assert text.strip() == text
        assert text
    assert len(entry.title) < 60
    assert not entry.title.endswith(".")
    assert entry.why.endswith(".")
    assert entry.repair.endswith(".")


def literals(path: Path) -> set[str]:
    """The string literals of a source file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_every_code_in_the_source_is_explained() -> None:
    used = {
        text
        for path in PACKAGE.rglob("*.py")
        if "codes" not in path.parts
        for text in literals(path)
        if CODE.fullmatch(text) and FAMILIES.fullmatch(text)
    }
    assert used - NO_CODES <= set(CODES)
    assert used >= {checker.code for checker in CHECKERS.values()}


def test_every_code_is_used_somewhere() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py") if "codes" not in path.parts)
    assert [code for code in CODES if f'"{code}"' not in source] == []


def test_every_checker_file_has_a_test_file() -> None:
    """A quantity is judged in a file of its name, and tested in one."""
    tests = Path(__file__).parent
    for quantity in QUANTITIES:
        assert (PACKAGE / "checks" / "quantities" / f"{quantity}.py").exists()
        assert (tests / "quantities" / f"test_{quantity}.py").exists()
