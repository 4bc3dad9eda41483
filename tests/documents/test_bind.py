"""Binding a spec: claims, named values, scenario quotes, and all that is wrong with them in one run."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from toolkit.documents.bind import Binding, BoundValue, bind
from toolkit.documents.document import Document
from toolkit.documents.read_field import read_field, resolved
from toolkit.finding import Place
from toolkit.spec.claim import Claim
from toolkit.spec.document_spec import Spec, Units
from toolkit.spec.fields.value import Choices, Field, Fixed, Range, Reference
from toolkit.spec.quote import Cell, Name, Quote, TableRef
from toolkit.spec.scenario import Scenario

TEXT = """\
# Memory

1 GB is 10^9 bytes. Training: 320 examples, 3 epochs.

The sequence length is **512**; the batch is small.
Full needs ~94 GB of VRAM, of which weights 14 GB and states **56 GB**.

| Method | VRAM | Fits |
|---|---|---|
| Full | ~94 GB | no |
| QLoRA | ~12 GB | |
"""

lines = iter(range(1, 10_000))


def at() -> Place:
    return Place("claims.yaml", next(lines), 3)


def quote(text: str, **more: Any) -> Quote:
    return Quote(text, at(), has_slot="{" in text, **more)


def cell(row: str, column: str, pattern: Quote | None = None) -> Cell:
    return Cell(TableRef("Memory", None, at()), row, column, at(), pattern)


def claim(source: Quote | Cell, quantity: str = "peak_memory", **more: Any) -> Claim:
    return Claim(more.pop("id", "guide/x"), quantity, source, source.place, **more)


def run(
    *claims: Claim,
    values: Mapping[str, Quote | Cell] | None = None,
    scenarios: Mapping[str, Scenario] | None = None,
    units: Units | None = None,
) -> Binding:
    path = Path("/claims.yaml")
    spec = Spec(
        path,
        "claims.yaml",
        "guide",
        path,
        claims,
        units=units,
        values=values or {},
        scenarios=scenarios or {},
    )
    return bind(spec, Document("guide.md", TEXT))


def scenario(**fields: Field) -> dict[str, Scenario]:
    return {"full": Scenario("full", at(), {name.replace("__", "."): said for name, said in fields.items()})}


def test_a_claim_knows_its_quote_and_its_value_in_the_document() -> None:
    bound = run(claim(quote("needs {94} of VRAM"))).claims[0]
    assert bound.quote_text == "needs ~94 GB of VRAM"
    assert bound.slot_text == "~94 GB"
    assert bound.place == Place("guide.md", 6, 6, 6, 26)
    assert bound.slot_place == Place("guide.md", 6, 12, 6, 18)


def test_a_claim_without_a_slot_is_its_quote() -> None:
    bound = run(claim(quote("the batch is small"))).claims[0]
    assert (bound.quote_text, bound.slot_text, bound.slot_place) == ("the batch is small", None, None)


def test_a_cell_knows_its_labels_and_its_pattern() -> None:
    whole, part = run(claim(cell("Full", "VRAM")), claim(cell("**QLoRA**", "VRAM", quote("~{}")))).claims
    assert (whole.row, whole.column, whole.slot_text) == ("Full", "VRAM", "~94 GB")
    assert (part.row, part.slot_text) == ("**QLoRA**", "12 GB")


def test_what_a_claim_is_computed_from_is_read_too() -> None:
    sides = {"start": Name("train", at()), "end": Name("full", at())}
    binding = run(
        claim(
            quote("needs {} of VRAM"),
            where={"weights": quote("weights {} and")},
            terms=(quote("states **{}**"), cell("QLoRA", "VRAM"), Name("train", at())),
            **sides,
        ),
        values={"train": quote("Training: {} examples")},
    )
    bound = binding.claims[0]
    assert bound.where["weights"].text == "14 GB"
    assert [term.text for term in bound.terms if isinstance(term, BoundValue)] == ["56 GB", "~12 GB", "320"]
    assert bound.start == binding.values["train"] == BoundValue("320", Place("guide.md", 3, 31, 3, 34))
    assert bound.end == sides["end"]
    value = binding.values["train"].value
    assert value is not None
    assert value.printed == (Fraction(320),)


def test_all_findings_come_in_one_run_at_their_places_in_the_spec() -> None:
    lost, ambiguous, empty = quote("needs {} of RAM"), quote("~{} GB"), cell("QLoRA", "Fits")
    side = quote("nowhere {}")
    binding = run(
        claim(lost, id="guide/lost"),
        claim(ambiguous, id="guide/ambiguous"),
        claim(empty, id="guide/empty"),
        claim(quote("needs {} of VRAM"), id="guide/side", where={"side": side}),
        claim(quote("weights {} and"), id="guide/good"),
        values={"train": quote("Testing: {} examples")},
        units=Units("binary", quote("1 GB is 2^30 bytes")),
    )
    assert [bound.claim.id for bound in binding.claims] == ["guide/good"]
    assert [(f.code, f.message.split(": ")[0]) for f in binding.findings] == [
        ("D201", "value train"),
        ("D201", "units"),
        ("D201", "claim guide/lost"),
        ("D202", "claim guide/ambiguous"),
        ("D204", "claim guide/empty"),
        ("D201", "claim guide/side, side"),
    ]
    places = {finding.message.split(": ")[0]: finding.place for finding in binding.findings}
    assert places["claim guide/lost"] == lost.place
    assert places["claim guide/empty"] == empty.place
    assert places["claim guide/side, side"] == side.place


def test_a_scenario_says_what_the_document_says() -> None:
    binding = run(
        scenarios=scenario(
            sequence_length=Field(Fixed(512), at(), quote("sequence length is **{}**")),
            batch_size=Field(Range(1, 8), at(), quote("the batch is small")),
        )
    )
    assert binding.findings == ()


def test_a_scenario_that_drifted_is_told_what_the_document_says() -> None:
    said = Field(Fixed(1024), at(), quote("sequence length is **{}**"))
    finding = run(scenarios=scenario(sequence_length=said)).findings[0]
    assert (finding.code, finding.place) == ("D208", said.place)
    assert finding.message == 'scenario full, sequence_length is 1024 in the spec, but guide.md:5:26 says "512"'


def test_a_quote_that_several_scenarios_inherit_is_looked_up_once() -> None:
    said = Field(Fixed(1024), at(), quote("sequence length is **{}**"))
    lost = Field(Fixed("full"), at(), quote("no such text"))
    both = {name: Scenario(name, at(), {"sequence_length": said, "method": lost}) for name in ("one", "two")}
    assert [finding.code for finding in run(scenarios=both).findings] == ["D208", "D201"]


def test_the_slot_of_a_quote_for_several_fields_is_not_compared() -> None:
    shared = quote("Training: {} examples, 3 epochs")
    fields = {"run__examples": Field(Fixed(320), at(), shared), "run__epochs": Field(Fixed(3), at(), shared)}
    assert run(scenarios=scenario(**fields)).findings == ()


def test_a_field_that_is_read_from_the_document() -> None:
    fields = scenario(run__examples=Field(Reference("train"), at()), gpu=Field(Reference("lost"), at()))
    binding = run(values={"train": quote("Training: {} examples")}, scenarios=fields)
    assert binding.findings == ()
    assert resolved(fields["full"], binding.values).fields["run.examples"].value == Fixed(320)
    assert "gpu" not in resolved(fields["full"], binding.values).fields


def test_a_field_that_cannot_have_the_documents_value() -> None:
    said = Field(Reference("train"), at())
    binding = run(values={"train": quote("Training: {}, 3")}, scenarios=scenario(run__epochs=said))
    assert binding.findings == ()
    binding = run(values={"train": quote("the batch is {}.")}, scenarios=scenario(run__epochs=said))
    assert [(finding.code, finding.place) for finding in binding.findings] == [("D204", said.place)]
    assert 'is "small", not a positive integer' in binding.findings[0].message


def test_a_field_of_one_claim_that_cannot_have_the_documents_value() -> None:
    said = Field(Reference("size"), at())
    binding = run(
        claim(quote("needs {} of VRAM"), overrides={"batch_size": said, "gpu": None}),
        values={"size": quote("the batch is {}.")},
    )
    assert [(finding.code, finding.place) for finding in binding.findings] == [("D204", said.place)]
    assert binding.findings[0].message.startswith("claim guide/x, batch_size: value size at guide.md:5:46 is")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("run.examples", "1,200", 1200),
        ("run.examples", "**10k** examples", 10_000),
        ("run.examples", "1.5", None),
        ("run.examples", "2-3", None),
        ("run.examples", "0", None),
        ("lora.dropout", "0.05", 0.05),
        ("lora.dropout", "5%", 0.05),
        ("lora.dropout", "5", None),
        ("weights", "`BF16`", "bf16"),
        ("weights", "bf17", None),
        ("amp", "enabled", True),
        ("amp", "❌", False),
        ("gpu", "**RTX 4090**", "RTX 4090"),
        ("stack.trl", "0.19.0", "0.19.0"),
        ("gpu", "", None),
    ],
)
def test_fields_as_the_document_states_them(name: str, text: str, value: object) -> None:
    assert read_field(name, text) == value


@pytest.mark.parametrize(
    ("text", "typed", "agrees"),
    [
        ("512", Fixed(512), True),
        ("~1,024 tokens", Fixed(1024), True),
        ("5120", Fixed(512), False),
        ("4k", Fixed(4096), True),
        ("4k", Fixed(8192), False),
        ("0.05", Fixed(0.05), True),
        ("5%", Fixed(0.05), True),
        ("small", Fixed(8), False),
        ("1–8", Range(1, 8), True),
        ("1 to 16", Range(1, 8), False),
        ("8", Range(8, 8), True),
        ("1, 2 or 4", Choices((1, 2, 4)), True),
        ("1 or 2", Choices((1, 2, 4)), False),
        ("bf16 or FP16", Choices(("bf16", "fp16")), True),
        ("BF16", Fixed("bf16"), True),
        ("**RTX 4070 Ti SUPER**", Fixed("RTX 4070 Ti Super"), True),
        ("RTX 4070 Ti SUPER", Fixed("RTX 4070 Ti"), False),
        ("`gpt-oss-20b`", Fixed("openai/gpt-oss-20b"), True),
        ("openai/gpt-oss-20b", Fixed("openai/gpt-oss-20b"), True),
        ("`q_proj`, `k_proj` and v_proj", Fixed(("q_proj", "v_proj", "k_proj")), True),
        ("q_proj, k_proj", Fixed(("q_proj",)), False),
        ("✅", Fixed(True), True),
        ("disabled", Fixed(True), False),
        ("disabled", Fixed(False), True),
        ("what", Fixed(True), False),
        ("none", Fixed(None), True),
    ],
)
def test_drift(text: str, typed: Fixed | Choices | Range, agrees: bool) -> None:
    said = {"x": Field(typed, at(), Quote("value is {}", at(), has_slot=True))}
    spec = Spec(Path("/c"), "c", "s", Path("/d"), (), scenarios={"s": Scenario("s", at(), said)})
    findings = bind(spec, Document("d", f"value is {text}\n")).findings
    assert [finding.code for finding in findings] == ([] if agrees else ["D208"])
