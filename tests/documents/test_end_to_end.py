"""From YAML and Markdown to bound claims; and every claim of this repository's own documents."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.documents.bind import Binding, bind
from toolkit.documents.cells import find_cell
from toolkit.documents.document import Document, read_document
from toolkit.documents.match import Match
from toolkit.documents.quotes import find_quote
from toolkit.documents.read_field import resolved
from toolkit.finding import Finding
from toolkit.spec.claim import Claim
from toolkit.spec.document_spec import Spec
from toolkit.spec.fields.value import Fixed
from toolkit.spec.load import load_spec
from toolkit.spec.quote import Cell

ROOT = Path(__file__).parents[2]
SPECS = sorted(ROOT.glob("specs/documents/*/claims.yaml"))

DOCUMENT = """\
# Small guide

We train on 320 examples with sequences of **512** tokens.

## Memory

The weights take ~{14 GB} and everything together **94 GB**.

| Method | VRAM |
|--------|------|
| Full | ~94 GB |
| QLoRA | ~12 GB |
"""

CLAIMS = """\
document: guide.md
values:
  train: "on {} examples"
scenarios:
  full:
    model: Qwen/Qwen2.5-Coder-7B
    method: full
    weights: bf16
    sequence_length: 512
    run: {examples: "{train}", epochs: 3}
    quotes:
      sequence_length: "sequences of **{}** tokens"
claims:
  - {id: weights, quantity: weights, scenario: full, quote: "take ~{{{14 GB}}} and"}
  - under: Small guide > Memory
    scenario: full
    quantity: peak_memory
    claims:
      - {id: together, quote: "together **{}**"}
  - table: {under: Memory}
    scenario: full
    rows: [Full, QLoRA]
    columns: {VRAM: peak_memory}
"""


def bound(folder: Path, document: str = DOCUMENT) -> tuple[Spec, Binding]:
    (folder / "guide.md").write_text(document, encoding="utf-8")
    (folder / "claims.yaml").write_text(CLAIMS, encoding="utf-8")
    spec, findings = load_spec(folder / "claims.yaml", folder)
    assert spec is not None, findings
    read = read_document(spec.document_path, folder)
    assert isinstance(read, Document)
    return spec, bind(spec, read)


def test_claims_are_bound_where_the_document_states_them(tmp_path: Path) -> None:
    spec, binding = bound(tmp_path)
    assert binding.findings == ()
    assert [(str(claim.slot_place), claim.slot_text) for claim in binding.claims] == [
        ("guide.md:7:20", "14 GB"),
        ("guide.md:7:53", "94 GB"),
        ("guide.md:11:10", "~94 GB"),
        ("guide.md:12:11", "~12 GB"),
    ]
    assert resolved(spec.scenarios["full"], binding.values).fields["run.examples"].value == Fixed(320)


def test_a_changed_number_is_read_anew(tmp_path: Path) -> None:
    _, binding = bound(tmp_path, DOCUMENT.replace("**94 GB**", "**128 GB**"))
    assert binding.findings == ()
    assert binding.claims[1].slot_text == "128 GB"


def test_a_deleted_sentence_and_a_drifted_setting_are_told(tmp_path: Path) -> None:
    changed = DOCUMENT.replace("everything together **94 GB**", "more").replace("512", "1024")
    spec, binding = bound(tmp_path, changed)
    drift, lost = binding.findings
    assert (drift.code, drift.place) == ("D208", spec.scenarios["full"].place_of("sequence_length"))
    assert (drift.place.path, drift.place.line, drift.place.column) == ("claims.yaml", 9, 22)
    assert (lost.code, lost.place.path, lost.place.line) == ("D201", "claims.yaml", 19)
    assert lost.message.startswith('claim together: quote "together **{}**" is not in guide.md under')
    assert [claim.slot_text for claim in binding.claims] == ["14 GB", "~94 GB", "~12 GB"]


def own(path: Path) -> tuple[Spec, Document]:
    spec, findings = load_spec(path, ROOT)
    assert spec is not None, findings
    document = read_document(spec.document_path, ROOT)
    assert isinstance(document, Document)
    return spec, document


def look(claim: Claim, document: Document) -> Match | Finding:
    source = claim.source
    return find_cell(document, source) if isinstance(source, Cell) else find_quote(document, source)


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.parent.name)
def test_every_claim_of_our_own_documents_is_bound(path: Path) -> None:
    spec, document = own(path)
    binding = bind(spec, document)
    assert binding.findings == ()
    assert len(binding.claims) == len(spec.claims)


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.parent.name)
def test_another_number_or_none_in_our_own_documents_is_noticed(path: Path) -> None:
    spec, document = own(path)
    for claim in spec.claims:
        match = look(claim, document)
        assert isinstance(match, Match)
        in_heading = any(heading.start <= match.start < heading.end for heading in document.headings)
        if match.slots and not in_heading:  # a heading that names its own section is lost with its number
            slot = match.slots[0]
            changed = document.text[: slot.start] + "some 1,234 TB" + document.text[slot.end :]
            again = look(claim, Document(document.path, changed))
            assert isinstance(again, Match), claim.id
            assert (again.start, again.slots[0].text) == (match.start, "some 1,234 TB")
        if not isinstance(claim.source, Cell):
            gone = document.text[: match.start] + "?" + document.text[match.end :]
            assert isinstance(look(claim, Document(document.path, gone)), Finding), claim.id
