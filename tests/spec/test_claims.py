"""Groups, tables and repeated quotes: what each claim becomes, where it points, and its id."""

from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path

import pytest

from tests.spec.build import CLAIM, HEAD, good, load, said, with_claim
from toolkit.spec import Cell, Claim, Fixed, Name, Quote
from toolkit.spec.claim import derived_id
from toolkit.spec.quote import Source


def claims(folder: Path, text: str) -> tuple[Claim, ...]:
    return good(folder, HEAD + "claims:\n" + text).claims


def refusals(folder: Path, text: str) -> list[str]:
    return said(load(folder, HEAD + "claims:\n" + text)[1])


def quote_of(claim: Claim) -> Quote:
    assert isinstance(claim.source, Quote)
    return claim.source


def cell_of(claim: Claim) -> Cell:
    assert isinstance(claim.source, Cell)
    return claim.source


def test_a_claim_alone(tmp_path: Path) -> None:
    text = (
        '  - quantity: weights\n    scenario: full\n    under: "3.1 Parameters"\n    occurrence: 2\n'
        '    quote: "needs **{28 GB}**"\n    metric: allocated\n'
        "    acknowledged: {reason: rounded, until: 2027-03-01}\n"
    )
    claim = claims(tmp_path, text)[0]
    quote = quote_of(claim)
    assert (quote.text, quote.under, quote.occurrence, quote.has_slot) == (
        "needs **{28 GB}**",
        "3.1 Parameters",
        2,
        True,
    )
    assert str(claim.place) == "claims.yaml:11:12"
    assert str(claim.place_of("scenario")) == "claims.yaml:8:5"
    assert claim.metric == "allocated"
    assert claim.acknowledged is not None
    assert (claim.acknowledged.reason, claim.acknowledged.until) == ("rounded", date(2027, 3, 1))
    assert claim.acknowledged.place.line == 13
    digest = hashlib.sha256("\x1f".join(("3.1 Parameters", quote.text, "", "", "2")).encode()).hexdigest()
    assert claim.id == f"{tmp_path.name}/full/weights/{digest[:6]}"


def test_quotes_repeat_one_statement(tmp_path: Path) -> None:
    text = (
        '  - {quantity: trainable_share, scenario: qlora, quotes: ["(~{} of 11B", {quote: "Only {}", under: Intro}]}\n'
    )
    first, second = claims(tmp_path, text)
    assert (quote_of(first).text, quote_of(first).under) == ("(~{} of 11B", None)
    assert (quote_of(second).text, quote_of(second).under) == ("Only {}", "Intro")
    assert first.id != second.id
    assert first.place.column < second.place.column


def test_groups_hand_down_their_keys(tmp_path: Path) -> None:
    text = """\
  - scenario: qlora
    under: Five
    with: {gpu: 24 GB, batch_size: 1}
    claims:
      - {quantity: weights, quote: "a {}"}
      - under: Six
        claims:
          - {quantity: gradients, quote: "b {}", with: {batch_size: 2}}
          - {quantity: weights, quote: "c {}", scenario: full, under: Seven}
"""
    first, second, third = claims(tmp_path, text)
    assert (first.scenario, quote_of(first).under) == ("qlora", "Five")
    assert (second.scenario, quote_of(second).under) == ("qlora", "Six")
    assert (third.scenario, quote_of(third).under) == ("full", "Seven")
    values = {name: field.value for name, field in second.overrides.items() if field is not None}
    assert values == {"gpu": Fixed("24 GB"), "batch_size": Fixed(2)}


def test_a_table_makes_a_claim_of_every_cell(tmp_path: Path) -> None:
    text = """\
  - table: {under: "6. Summary", occurrence: 2}
    rows: {"Full FT": {scenario: full}, QLoRA: qlora}
    columns:
      VRAM: peak_memory
      "On 24GB?": {quantity: fits, with: {gpu: 24 GB}, quote: "({})x"}
    cells:
      - {row: QLoRA, column: VRAM, acknowledged: {reason: known}, id: mine}
      - {row: Full FT, column: VRAM, skip: true}
"""
    found = claims(tmp_path, text)
    shown = [(cell_of(claim).row, cell_of(claim).column, claim.scenario, claim.quantity) for claim in found]
    assert shown == [
        ("Full FT", "On 24GB?", "full", "fits"),
        ("QLoRA", "VRAM", "qlora", "peak_memory"),
        ("QLoRA", "On 24GB?", "qlora", "fits"),
    ]
    table = cell_of(found[0]).table
    assert (table.under, table.occurrence) == ("6. Summary", 2)
    pattern = cell_of(found[0]).pattern
    assert pattern is not None
    assert pattern.text == "({})x"
    assert found[0].overrides["gpu"] is not None
    assert (found[1].id, found[1].acknowledged is not None) == ("mine", True)
    assert found[1].place.line == 13
    line = text.split("\n")[1]
    assert (found[2].place.line, found[2].place.column) == (8, line.index("QLoRA") + 1)


def test_rows_and_columns_may_be_lists_of_labels(tmp_path: Path) -> None:
    text = '  - {table: Summary, scenario: full, quantity: weights, rows: [A, "B b"], columns: [One, Two]}\n'
    found = claims(tmp_path, text)
    assert [(cell_of(claim).row, cell_of(claim).column) for claim in found] == [
        ("A", "One"),
        ("A", "Two"),
        ("B b", "One"),
        ("B b", "Two"),
    ]
    assert len({claim.id for claim in found}) == 4
    assert found[3].place.column > found[0].place.column


def test_a_table_in_a_group_takes_its_heading(tmp_path: Path) -> None:
    text = (
        "  - under: Six\n    scenario: full\n    claims:\n      - {table: {occurrence: "
        "2}, rows: [A], columns: {B: weights}}\n"
    )
    table = cell_of(claims(tmp_path, text)[0]).table
    assert (table.under, table.occurrence) == ("Six", 2)


def test_a_column_goes_before_its_row(tmp_path: Path) -> None:
    text = "  - {table: S, rows: {A: {scenario: full, quantity: weights}}, columns: {B: {quantity: gradients}}}\n"
    assert claims(tmp_path, text)[0].quantity == "gradients"


def test_a_cell_alone(tmp_path: Path) -> None:
    text = '  - {quantity: weights, scenario: full, cell: {table: Sizes, row: 7B, column: FP16, quote: "~{} GB"}}\n'
    cell = cell_of(claims(tmp_path, text)[0])
    assert (cell.table.under, cell.row, cell.column) == ("Sizes", "7B", "FP16")


def test_arithmetic_and_change(tmp_path: Path) -> None:
    text = """\
  - {quantity: arithmetic, quote: "Total: {} h", formula: a + train,
     where: {a: "**A:** {} h", b: {cell: {table: T, row: x, column: y}}}}
  - {quantity: change, quote: "{} smaller", from: "was {}", to: rate}
  - {quantity: change, quote: "{} less", of: weights, from: full, to: qlora}
  - {quantity: arithmetic, quote: "sum {}", terms: [train, "and {}"]}
"""
    total, smaller, less, terms = claims(tmp_path, text)
    assert total.formula == "a + train"
    assert isinstance(total.where["a"], Quote)
    assert isinstance(total.where["b"], Cell)
    assert isinstance(smaller.start, Quote)
    assert isinstance(smaller.end, Name)
    assert smaller.end.text == "rate"
    assert less.of == "weights"
    assert isinstance(terms.terms[0], Name)
    assert isinstance(terms.terms[1], Quote)


def test_a_subject_holds_texts(tmp_path: Path) -> None:
    text = (
        '  - {quantity: software, quote: "trl {}", subject: {package: trl, with: {unsloth: 2025.10}, all: [1, yes]}}\n'
    )
    subject = claims(tmp_path, text)[0].subject
    assert subject == {"package": "trl", "with": {"unsloth": "2025.10"}, "all": ("1", "yes")}


def test_overrides_make_a_scenario_of_their_own(tmp_path: Path) -> None:
    spec = good(
        tmp_path,
        with_claim('quantity: fits, scenario: qlora, quote: "a {}", with: {method: full, weights: bf16, gpu: 24 GB}'),
    )
    scenario = spec.scenario_of(spec.claims[0])
    assert scenario is not None
    assert (scenario.method, scenario.fixed("gpu"), scenario.model_type) == ("full", "24 GB", "qwen2")
    assert "lora.rank" not in scenario.fields
    assert spec.scenarios["qlora"].method == "qlora"


def test_a_claim_without_overrides_shares_its_scenario(tmp_path: Path) -> None:
    spec = good(tmp_path, HEAD + CLAIM)
    assert spec.scenario_of(spec.claims[0]) is spec.scenarios["full"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{quantity: weights, scenario: full, quote: "a {}", quotes: ["b {}"]}',
            "S113 a claim has quote and quotes",
        ),
        ("{quantity: weights, scenario: full}", "S105 a claim does not say where the document states it"),
        ("{table: T, rows: {A: full}}", "S105 a table needs columns"),
        ("{table: T}", "S105 a table needs rows and columns"),
        ('{quantity: steps, quote: "a {}", rows: [A]}', "S113 rows stands without table"),
        ("{claims: [], scenario: full}", "S105 a group without claims"),
        ('{id: x, claims: [{quantity: steps, quote: "a {}"}]}', "S113 an id names one claim, not a group"),
        (
            '{id: x, quantity: steps, quotes: ["a {}", "b {}"]}',
            "S113 an id names one claim, and quotes states several",
        ),
        ("{id: x, table: T, rows: {A: full}, columns: {B: weights}}", "S113 id says nothing here"),
        (
            "{table: T, rows: {A: full}, columns: {B: weights}, cells: [{row: X, column: B}]}",
            "S108 rows has no X",
        ),
        ("{table: T, rows: [A, A], columns: {B: weights}, scenario: full}", "S102 rows: A is listed twice"),
        ('{quantity: steps, quote: "a {}", with: {gpu: 24 GB}}', "S113 with says fields of a scenario"),
        (
            '{claims: [{claims: [{claims: [{quantity: steps, quote: "a {}"}]}]}]}',
            "S112 groups are nested more than 2",
        ),
        ('{quantity: steps, quote: "a }"}', "S104 quote: the quote has a lone }"),
        ('{quantity: steps, quote: "a {*}{} b"}', "S104 quote: the quote has two slots side by side"),
        ('{quantity: steps, quote: "a {}", of: wieghts}', "S107 of: wieghts is not a quantity"),
        (
            '{quantity: steps, quote: "a {}", where: {x: "no slot"}}',
            'S104 x: the quote "no slot" has no slot',
        ),
        ('{quantity: steps, quote: "a {}", where: {a-b: "x {}"}}', "S104 a-b is not a name of letters"),
    ],
)
def test_what_is_wrong_with_a_claim(text: str, message: str, tmp_path: Path) -> None:
    assert refusals(tmp_path, f"  - {text}\n")[0].startswith(message)


def test_the_same_claim_twice(tmp_path: Path) -> None:
    _, findings = load(tmp_path, HEAD + CLAIM + CLAIM.removeprefix("claims:\n"))
    assert said(findings) == ["S102 this claim of weights is written twice: first in line 7"]
    assert findings[0].place.line == 8
    named = 'claims:\n  - {quantity: steps, quote: "a {}", id: x}\n  - {quantity: steps, quote: "b {}", id: x}\n'
    _, findings = load(tmp_path, HEAD + named)
    assert said(findings) == ["S102 the id x is written twice: first in line 7"]


def test_an_occurrence_or_an_id_tells_equal_quotes_apart(tmp_path: Path) -> None:
    text = "".join(
        f'  - {{quantity: steps, quote: "a {{}}", {more}}}\n' for more in ("occurrence: 1", "occurrence: 2", "id: z")
    )
    assert len({claim.id for claim in claims(tmp_path, text)}) == 3


def test_ids_stay_when_other_claims_come_and_lines_move(tmp_path: Path) -> None:
    one = '  - {quantity: steps, quote: "a {}"}\n'
    alone = claims(tmp_path, one)[0]
    among = claims(tmp_path, '  # moved\n  - {quantity: cost, quote: "a {}"}\n' + one)[1]
    assert alone.id == among.id


def test_different_claims_with_one_short_id_get_longer_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def short_first(slug: str, scenario: str | None, quantity: str, source: Source, digits: int = 0) -> str:
        return derived_id(slug, scenario, quantity, source, digits)

    monkeypatch.setattr("toolkit.spec.identify.derived_id", short_first)
    text = '  - {quantity: steps, quote: "a {}"}\n  - {quantity: steps, quote: "b {}"}\n'
    ids = [claim.id for claim in claims(tmp_path, text)]
    assert len(set(ids)) == 2
    assert all(len(identity.rsplit("/", 1)[1]) == 12 for identity in ids)
