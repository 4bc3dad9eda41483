"""The JSON Schema: fresh, and at one with the loader."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.spec.build import CLAIM, HEAD, load, with_claim, with_scenario
from toolkit.spec.fields.registry import FIELDS
from toolkit.spec.schema import COMMITTED, scenario_schema, schema, schema_text
from toolkit.spec.written.open_value import example
from toolkit.spec.yaml.node import typed

SPECS = Path(__file__).parents[2] / "specs" / "documents"


class Core(yaml.SafeLoader):
    """YAML 1.2, as editors read it."""


Core.yaml_implicit_resolvers = {}
for tag, pattern, first in (
    ("bool", r"true|false", "tf"),
    ("null", r"null|~|", ["n", "~", ""]),
    ("int", r"-?(0|[1-9][0-9]*)", "-0123456789"),
    ("float", r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?", "-0123456789"),
):
    Core.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), list(first))


def errors(text: str) -> list[str]:
    validator = jsonschema.Draft202012Validator(schema())
    return [error.message for error in validator.iter_errors(yaml.load(text, Loader=Core))]


def test_the_committed_copy_is_fresh() -> None:
    assert COMMITTED.read_text("utf-8") == schema_text(), "run: toolkit schema > toolkit/spec/spec.schema.json"


@pytest.mark.parametrize("whole", [schema(), scenario_schema()], ids=["spec", "scenario"])
def test_it_is_a_schema(whole: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(whole)
    references = set(re.findall(r'"#/\$defs/([^"]+)"', json.dumps(whole)))
    assert references == set(whole["$defs"])


VALID = {
    "plain": HEAD + CLAIM,
    "top": "title: 5\nslug: a.b\nsource: {date: 2025-11-05}\nunits: {GB: binary, quote: {quote: x, "
    "under: y}}\n" + HEAD + CLAIM,
    "values": HEAD.replace('"a rate of {}"', "{cell: {table: {under: T, occurrence: 2}, row: 5, column: x}}") + CLAIM,
    "fields": with_scenario(
        "model: Qwen/Qwen2.5-7B, method: lora, weights: bf16, head: sequence-classification(3), "
        "batch_size: [1, 2],"
        " sequence_length: {from: 512, to: 1024}, amp: false, gradients: null, "
        "gradient_checkpointing: reentrant,"
        " lora: {rank: 8, dropout: 0.05, targets: [q_proj, mlp.up_proj]}, stack: {torch: 2.8, "
        "flash-attn: 2.7.0.post2},"
        ' run: {examples: "{train}"}, gpu: 24 GB, quotes: {batch_size: x, sequence_length: {quote: '
        "y, occurrence: 2}}"
    ),
    "targets": with_scenario(
        "model: Qwen/Qwen2.5-7B, method: lora, weights: bf16, lora: {targets: [[q_proj, v_proj], "
        "all-linear]},"
        " quotes: {lora.targets: x}"
    ),
    "model": with_scenario("model: {model_type: llama, hidden_size: 64}, method: inference, lora: null"),
    "group": HEAD + 'claims:\n  - {scenario: full, claims: [{quantity: weights, quote: "a {}"}]}\n',
    "table": HEAD + "claims:\n  - table: T\n    rows: {A: full, B: {scenario: qlora}}\n    columns: {C: weights, "
    "D: {quantity: fits}}\n" + "    cells: [{row: A, column: D, skip: true}]\n",
    "labels": HEAD + "claims:\n  - {table: {}, scenario: full, quantity: weights, rows: [A, 7], columns: [B]}\n",
    "keys": with_claim(
        'quantity: change, scenario: full, quotes: ["a {}", {quote: "b {}", under: 3.1}], from: '
        'train, to: "c {}",'
        ' where: {x: "y {}"}, formula: 5, metric: device, acknowledged: {reason: x, until: '
        "2027-01-01}, note: no,"
        " subject: {package: trl, with: {torch: 2.8}}, with: {gpu: 24 GB}"
    ),
    "unchecked": with_claim("quantity: steps, quote: 5 steps, unchecked: nobody knows, under: 12:30"),
}


@pytest.mark.parametrize("text", VALID.values(), ids=VALID)
def test_it_accepts_what_the_loader_accepts(text: str, tmp_path: Path) -> None:
    _, findings = load(tmp_path, text)
    assert not findings
    assert errors(text) == []


@pytest.mark.parametrize("path", sorted(SPECS.glob("*/claims.yaml")), ids=lambda path: path.parent.name)
def test_it_accepts_the_committed_specs(path: Path) -> None:
    assert errors(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "text",
    [
        HEAD + CLAIM + "titel: x\n",
        with_scenario("model: x/y, method: full, batchsize: 3"),
        with_scenario("model: x/y, method: full, weights: float32"),
        with_scenario("model: x/y, method: full, batch_size: 0"),
        with_scenario("model: x/y, method: full, batch_size: '2'"),
        with_scenario("model: x/y, method: full, batch_size: {from: 1}"),
        with_scenario("model: x/y, method: full, lora: {rnk: 3}"),
        with_scenario("model: x/y, method: full, quotes: {batchsize: x}"),
        with_claim('quantity: weight, quote: "a {}"'),
        with_claim('quantity: weights, qoute: "a {}"'),
        HEAD + "  no good name: {model: x/y, method: full}\n" + CLAIM,
        HEAD.replace("train:", "a-b:") + CLAIM,
        CLAIM,
        HEAD,
    ],
)
def test_it_refuses_what_the_loader_refuses(text: str, tmp_path: Path) -> None:
    assert load(tmp_path, text)[0] is None
    assert errors(text)


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_is_described_with_examples_that_hold(name: str) -> None:
    definition = schema()["$defs"][name]
    assert definition["description"] == FIELDS[name].doc
    validator = jsonschema.Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": schema()["$defs"]})
    for text, value in zip(FIELDS[name].examples, definition["examples"], strict=True):
        assert list(validator.iter_errors(value)) == []
        assert value == example(text)
        if not text.startswith("["):
            FIELDS[name].kind.read(typed(text))
