"""Each code of the family: what causes it, where it points, and what it says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.spec.build import CLAIM, HEAD, good, load, said, token_at, with_claim, with_scenario
from toolkit.codes.spec import SPEC_CODES
from toolkit.finding import Finding
from toolkit.spec import load_spec, load_specs

GPU = "model: Qwen/Qwen2.5-7B, method: inference, gpu: "
TRAIN = "model: Qwen/Qwen2.5-7B, method: full, weights: bf16, "

CASES: list[tuple[str, str, str]] = [
    # code, the token that it points at, the spec
    ("S101", "", HEAD + CLAIM + "x: [1\n"),
    ("S101", "---", HEAD + CLAIM + "---\n"),
    ("S102", "document", HEAD + CLAIM + "document: b.md\n"),
    ("S102", "train", HEAD.replace('rate: "a', 'train: "a') + CLAIM),
    ("S103", "titel", HEAD + CLAIM + "titel: x\n"),
    ("S103", "batchsize", with_scenario(TRAIN + "batchsize: 3")),
    ("S103", "rnk", with_scenario("model: Qwen/Qwen2.5-7B, method: lora, lora: {rnk: 3}")),
    ("S103", "qoute", with_claim('quantity: steps, qoute: "x {}"')),
    ("S103", "step", with_scenario(TRAIN + "batch_size: {from: 1, to: 2, step: 1}, quotes: {batch_size: x}")),
    ("S103", "batchsize", with_scenario(TRAIN + "quotes: {batchsize: x}")),
    ("S104", "0", with_scenario(TRAIN + "batch_size: 0")),
    ("S104", '"8"', with_scenario(TRAIN + 'batch_size: "8"')),
    ("S104", "two", with_scenario(TRAIN + "batch_size: two")),
    ("S104", "[full, lora]}", with_scenario("model: Qwen/Qwen2.5-7B, method: [full, lora]")),
    ("S104", "7", HEAD + "claims: 7\n"),
    ("S104", "7", HEAD + "claims: [7]\n"),
    ("S104", '"a {} and {}"', with_claim('quantity: steps, quote: "a {} and {}"')),
    ("S104", '"{}"', with_claim('quantity: steps, quote: "{}"')),
    ("S104", '"no slot"', HEAD.replace('"{} examples"', '"no slot"') + CLAIM),
    ("S104", "2027-02-30", with_claim('quantity: steps, quote: "a", acknowledged: {reason: x, '
                                      'until: 2027-02-30}')),
    ("S105", "", CLAIM),
    ("S105", "", HEAD),
    ("S105", "s", with_scenario("method: full")),
    ("S105", "s", with_scenario("model: Qwen/Qwen2.5-7B")),
    ("S105", '"a {}"', with_claim('scenario: full, quote: "a {}"')),
    ("S105", '"a {}"', with_claim('quantity: peak_memory, quote: "a {}"')),
    ("S105", "acknowledged", with_claim('quantity: steps, quote: "a", acknowledged: {until: 2027-03-01}')),
    ("S106", "1_000", with_scenario(TRAIN + "batch_size: 1_000")),
    ("S106", "yes", with_scenario(TRAIN + "amp: yes")),
    ("S106", "12:30", with_scenario(TRAIN + "sequence_length: 12:30")),
    ("S107", "float32", with_scenario("model: Qwen/Qwen2.5-7B, method: full, weights: float32")),
    ("S107", "adam", with_scenario(TRAIN + "optimizer: adam")),
    ("S107", "Qwen/Qwen9-7B", with_scenario("model: Qwen/Qwen9-7B, method: full")),
    ("S107", "RTX 4091", with_scenario(GPU + "RTX 4091")),
    ("S107", "25 GB", with_scenario(GPU + "25 GB")),
    ("S107", "memory", with_claim('quantity: memory, scenario: full, quote: "a {}"')),
    ("S107", "RTX 1", with_claim('quantity: fits, scenario: full, quote: "a {}", with: {gpu: RTX 1}')),
    ("S108", "scenario", with_claim('quantity: weights, scenario: fulll, quote: "a {}"')),
    ("S108", "extends", with_scenario("extends: fulll")),
    ("S108", '"{trian}"', with_scenario(TRAIN + 'run: {examples: "{trian}"}')),
    ("S108", "rated", with_claim('quantity: change, quote: "a {}", from: rated, to: rate')),
    ("S108", "qlorra", with_claim('quantity: change, quote: "a {}", of: weights, from: qlorra, to: full')),
    ("S109", "/etc/passwd", HEAD.replace("guide.md", "/etc/passwd") + CLAIM),
    ("S109", "../../x.md", HEAD.replace("guide.md", "../../x.md") + CLAIM),
    ("S109", "C:\\x.md", HEAD.replace("guide.md", "C:\\x.md") + CLAIM),
    ("S109", "../config.json", with_scenario("model: ../config.json, method: full")),
    ("S110", "{from: 1, to: 4}}", with_scenario(TRAIN + "batch_size: {from: 1, to: 4}")),
    ("S110", "[1, 9], quotes: {batch_size: few}}", with_scenario(TRAIN + "batch_size: [1, 9], quotes: "
                                                                         "{batch_size: few}")),
    ("S112", "*a", with_scenario(TRAIN + "batch_size: &a 1, gradient_accumulation: *a")),
    ("S113", "bf16", with_scenario("model: Qwen/Qwen2.5-7B, method: qlora, weights: bf16")),
    ("S113", "nf4", with_scenario("model: Qwen/Qwen2.5-7B, method: full, weights: nf4")),
    ("S113", "5", with_scenario(TRAIN + "generated_length: 5")),
    ("S113", "16", with_scenario(TRAIN + "lora: {rank: 16}")),
    ("S113", "adamw", with_scenario(GPU + "24 GB, optimizer: adamw")),
    ("S113", "batch_size", with_scenario(TRAIN + "quotes: {batch_size: x}")),
    ("S113", "extends", with_scenario("extends: s")),
]  # fmt: skip


@pytest.mark.parametrize(("code", "token", "text"), CASES, ids=[f"{code}-{token[:12]}" for code, token, _ in CASES])
def test_every_mistake_has_its_code_and_place(code: str, token: str, text: str, tmp_path: Path) -> None:
    spec, findings = load(tmp_path, text)
    assert spec is None
    matching = [finding for finding in findings if finding.code == code]
    assert matching, said(findings)
    assert matching[0].place.path == "claims.yaml"
    if token:
        assert token in {token_at(text, finding) for finding in matching}


def test_every_code_has_a_case() -> None:
    elsewhere = {"S111", "S114"}  # of files and folders: below
    other_tools = {"S115", "S116"}  # of other tools' configurations: training_configs/
    assert {code for code, _, _ in CASES} | elsewhere | other_tools == {entry.code for entry in SPEC_CODES}


def test_messages_are_a_persons_words(tmp_path: Path) -> None:
    text = with_scenario(TRAIN + "batch_size: 0, wieghts: fp32, attention: flash_attention_2")
    _, findings = load(tmp_path, text)
    assert said(findings)[0] == "S104 batch_size: 0 is not a positive integer"
    assert findings[1].message.startswith("wieghts is no field here; known: model, head")
    assert findings[1].repair == "write weights"
    assert findings[2].repair == "write flash"


def test_all_mistakes_of_a_file_come_in_one_run_and_in_order(tmp_path: Path) -> None:
    text = (
        "document: /x\ntitel: a\nvalues: {9: x}\nscenarios:\n  a: {model: x/y, method: qlora, "
        "weights: fp32}\n"
        "  b: {extends: c, batch_size: no}\nclaims:\n  - {quantity: weight, scenario: a, quote: x}\n"
        "  - {quantity: weights, scenario: z, quote: x}\n  - {scenario: a}\n"
    )
    _, findings = load(tmp_path, text)
    assert [(finding.place.line, finding.code) for finding in findings] == [
        (1, "S109"),
        (2, "S103"),
        (3, "S104"),
        (3, "S104"),
        (5, "S107"),
        (5, "S113"),
        (6, "S108"),
        (6, "S106"),
        (8, "S107"),
        (9, "S108"),
        (10, "S105"),
    ]


def test_what_refers_to_something_broken_is_no_mistake_of_its_own(tmp_path: Path) -> None:
    text = (
        'document: g.md\nvalues: {bad: "none"}\nscenarios:\n  a: {model: 5 5, methud: full, run: '
        '{epochs: "{bad}"}}\n'
        '  b: {extends: a}\nclaims:\n  - {quantity: weights, scenario: a, quote: "x {}", with: '
        "{batch_size: 2}}\n"
        '  - {quantity: change, quote: "{} more", from: bad, to: bad}\n'
    )
    _, findings = load(tmp_path, text)
    assert [(finding.code, finding.place.line) for finding in findings] == [
        ("S104", 2),
        ("S107", 4),
        ("S103", 4),
    ]


def test_one_broken_file_hides_no_other(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "c").mkdir()
    (tmp_path / "a" / "claims.yaml").write_text("x: [")
    (tmp_path / "b" / "claims.yaml").write_text(HEAD + CLAIM)
    (tmp_path / "c" / "claims.yaml").write_bytes(b"a: b\nc: \xff\n")
    specs, findings = load_specs([tmp_path], tmp_path)
    assert [spec.slug for spec in specs] == ["b"]
    assert [str(finding.place) for finding in findings] == ["a/claims.yaml:1:5", "c/claims.yaml:2:4"]
    assert [finding.code for finding in findings] == ["S101", "S111"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a spec is a mapping of fields, and this file is empty"),
        ("- a\n", "a spec is a mapping of fields, and this is a list"),
        ("just text\n", "a spec is a mapping of fields, and this is just text"),
    ],
)
def test_a_spec_is_a_mapping(text: str, message: str, tmp_path: Path) -> None:
    assert said(load(tmp_path, text)[1]) == [f"S104 {message}"]


def code_of_path(path: Path, root: Path) -> list[str]:
    spec, findings = load_spec(path, root)
    assert spec is None
    return [finding.code for finding in findings]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert code_of_path(tmp_path / "none.yaml", tmp_path) == ["S111"]
    assert code_of_path(tmp_path, tmp_path) == ["S111"]
    assert code_of_path(tmp_path / ("x" * 300), tmp_path) == ["S111"]
    (tmp_path / "loop").symlink_to("loop")
    assert code_of_path(tmp_path / "loop", tmp_path) == ["S111"]
    os.mkfifo(tmp_path / "pipe")
    assert code_of_path(tmp_path / "pipe", tmp_path) == ["S111"]
    (tmp_path / "large.yaml").write_bytes(b" " * (2 * 1024 * 1024 + 1))
    assert code_of_path(tmp_path / "large.yaml", tmp_path) == ["S112"]


def test_a_file_outside_the_root_is_not_read(tmp_path: Path) -> None:
    inside, outside = tmp_path / "root", tmp_path / "secret.yaml"
    inside.mkdir()
    outside.write_text(HEAD + CLAIM)
    (inside / "claims.yaml").symlink_to(outside)
    assert code_of_path(inside / "claims.yaml", inside) == ["S109"]
    assert code_of_path(outside, inside) == ["S109"]


def test_a_document_outside_the_root_is_refused_also_through_a_link(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "guide.md").write_text("x")
    (root / "guide.md").symlink_to(tmp_path / "guide.md")
    spec, findings = load(root, HEAD + CLAIM)
    assert spec is None
    assert [(finding.code, finding.place.line) for finding in findings] == [("S109", 1)]


def test_a_document_beside_the_folder_is_allowed(tmp_path: Path) -> None:
    folder = tmp_path / "specs"
    folder.mkdir()
    (folder / "claims.yaml").write_text(HEAD.replace("guide.md", "../docs/guide.md") + CLAIM)
    spec, findings = load_spec(folder / "claims.yaml", tmp_path)
    assert findings == []
    assert spec is not None
    assert spec.document_path.resolve() == (tmp_path / "docs" / "guide.md").resolve()


def test_a_whole_spec(tmp_path: Path) -> None:
    text = (
        "title: Guide\nsource: {title: A wiki, date: 2025-11-05}\nunits: {GB: decimal, quote: 1 GB "
        "= 10^9 bytes}\n" + HEAD + CLAIM
    )
    spec = good(tmp_path, text)
    assert spec.title == "Guide"
    assert spec.source == {"title": "A wiki", "date": "2025-11-05"}
    assert spec.units is not None
    assert (spec.units.reading, spec.units.quote.text) == ("decimal", "1 GB = 10^9 bytes")
    assert set(spec.values) == {"train", "rate"}
    assert list(spec.scenarios) == ["full", "qlora"]
    assert spec.scenarios["full"].model_type == "qwen2"
    assert spec.place_of("units").line == 3
    assert spec.slug == tmp_path.name


def test_a_finding_points_at_its_field_although_a_scenario_is_called_like_one(tmp_path: Path) -> None:
    text = HEAD + "  lora: {model: Qwen/Qwen2.5-7B, method: full, rank: 3}\n" + CLAIM
    _, findings = load(tmp_path, text)
    assert said(findings)[0].startswith("S103 rank is no field here; known: model, head")


def test_findings_sort_without_comparing_their_parts(tmp_path: Path) -> None:
    _, findings = load(tmp_path, with_scenario(TRAIN + "batch_size: 0, amp: yes"))
    assert all(isinstance(finding, Finding) for finding in findings)


def test_a_cell_without_its_table_is_told_how_a_table_is_written(tmp_path: Path) -> None:
    """That it is a field called `table` says neither what goes into it nor that the first of the document is `{}`."""
    _, findings = load(tmp_path, with_claim("scenario: full, quantity: weights, cell: {row: a, column: b}"))
    assert said(findings) == ["S105 cell needs table"]
    assert "table: {}" in (findings[0].repair or "")
