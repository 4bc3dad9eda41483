"""Finding specs in folders, scenarios in files, and scenarios on a command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.spec.build import CLAIM, HEAD, said
from toolkit.spec import Choices, Fixed, Range, load_scenario, load_specs, scenario_from_flags
from toolkit.spec.walk import slug_of, spec_paths


def write(path: Path, text: str = HEAD + CLAIM) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_folders_are_walked_in_order(tmp_path: Path) -> None:
    for name in ("b/claims.yaml", "a/claims.yml", "a/guide.claims.yaml", "c/d/x.claims.yml"):
        write(tmp_path / name)
    for name in ("a/other.yaml", ".git/claims.yaml", "b/evidence/claims.yaml", "node_modules/claims.yaml"):
        write(tmp_path / name)
    found, findings = spec_paths([tmp_path], tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in found] == [
        "a/claims.yml",
        "a/guide.claims.yaml",
        "b/claims.yaml",
        "c/d/x.claims.yml",
    ]
    assert findings == []


def test_a_file_is_taken_by_any_name_and_once(tmp_path: Path) -> None:
    path = write(tmp_path / "a" / "claims.yaml")
    other = write(tmp_path / "odd.yaml")
    found, _ = spec_paths([path, tmp_path, other, path], tmp_path)
    assert found == [path, other]


def test_links_lead_nowhere_outside(tmp_path: Path) -> None:
    outside = write(tmp_path / "out" / "claims.yaml")
    root = tmp_path / "root"
    write(root / "a" / "claims.yaml")
    (root / "link").symlink_to(outside.parent)
    (root / "b").mkdir()
    (root / "b" / "claims.yaml").symlink_to(outside)
    specs, findings = load_specs([root], root)
    assert [spec.shown_path for spec in specs] == ["a/claims.yaml"]
    assert [(str(finding.place), finding.code) for finding in findings] == [("b/claims.yaml:1:1", "S109")]


def test_nothing_to_check_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    specs, findings = load_specs([tmp_path / "empty", tmp_path / "none"], tmp_path)
    assert specs == []
    assert [(str(finding.place), finding.code) for finding in findings] == [
        ("empty:1:1", "S114"),
        ("none:1:1", "S111"),
    ]
    assert said(load_specs([], tmp_path)[1]) == ["S114 no spec is named"]


def test_slugs() -> None:
    assert slug_of(Path("specs/documents/gpt-oss-20b/claims.yaml")) == "gpt-oss-20b"
    assert slug_of(Path("docs/guide.claims.yaml")) == "guide"
    assert slug_of(Path("my docs/claims.yaml")) == "my-docs"


def test_equal_slugs_are_a_mistake_that_a_slug_repairs(tmp_path: Path) -> None:
    write(tmp_path / "a" / "docs" / "claims.yaml")
    second = write(tmp_path / "b" / "docs" / "claims.yaml")
    specs, findings = load_specs([tmp_path], tmp_path)
    assert len(specs) == 2
    assert [(finding.code, str(finding.place)) for finding in findings] == [("S102", "b/docs/claims.yaml:1:1")]
    write(second, "slug: other\n" + HEAD + CLAIM)
    specs, findings = load_specs([tmp_path], tmp_path)
    assert findings == []
    assert specs[1].claims[0].id.startswith("other/")


def test_a_scenario_alone_in_a_file(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.yaml", "model: Qwen/Qwen2.5-7B\nmethod: lora\nbatch_size: [1, 2]\nlora: {rank: 8}\n")
    scenario, findings = load_scenario(path, tmp_path)
    assert findings == []
    assert scenario is not None
    assert (scenario.name, scenario.model_type) == ("mine", "qwen2")
    assert scenario.fields["batch_size"].value == Choices((1, 2))
    assert str(scenario.place_of("lora.rank")) == "mine.yaml:4:14"


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("method: full\n", ["S105 scenario mine needs model"]),
        ("model: Qwen/Qwen2.5-7B\nmethod: full\nbatchsize: 2\n", ["S103 batchsize is no field here"]),
        (
            'model: Qwen/Qwen2.5-7B\nmethod: full\nbatch_size: "{x}"\n',
            ["S108 batch_size: there is no document here"],
        ),
        (
            "model: x/y\nmethod: qlora\nweights: fp32\n",
            ["S107 model: x/y is not known", "S113 method qlora trains"],
        ),
        ("", ["S104 a scenario is a mapping of fields, and this file is empty"]),
    ],
)
def test_a_scenario_file_with_mistakes(text: str, messages: list[str], tmp_path: Path) -> None:
    scenario, findings = load_scenario(write(tmp_path / "mine.yaml", text), tmp_path)
    assert scenario is None
    assert len(findings) == len(messages)
    for told, message in zip(said(findings), messages, strict=True):
        assert told.startswith(message)


def test_flags() -> None:
    flags = {
        "model": "Qwen/Qwen2.5-7B",
        "method": "lora",
        "batch_size": "{from: 1, to: 4}",
        "sequence_length": "[512, 1024]",
        "lora.rank": "16",
        "lora.targets": "[q_proj, v_proj]",
        "gpu": "RTX 4090",
        "stack.transformers": "5.10",
    }
    scenario, findings = scenario_from_flags(flags, Path())
    assert findings == []
    assert scenario is not None
    values = {name: field.value for name, field in scenario.fields.items()}
    assert values["batch_size"] == Range(1, 4)
    assert values["lora.targets"] == Fixed(("q_proj", "v_proj"))
    assert values["stack.transformers"] == Fixed("5.10")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"batch_size": "0"}, "S104 batch_size: 0 is not a positive integer"),
        ({"batchsize": "1"}, "S103 batchsize is no field here"),
        ({"lora.rnk": "1"}, "S103 rnk is no field here"),
        ({"sequence_length": "[1, 2"}, "S101 sequence_length: this is no YAML"),
        ({"lora": "x", "lora.rank": "1"}, "S104 lora: x is not a mapping of fields"),
        ({"lora.rank": "1", "lora": "x"}, "S104 lora: x is not a mapping of fields"),
        ({"amp": "yes"}, "S106 amp: `yes` means different things"),
        ({"": "x"}, "S103  is no field here"),
    ],
)
def test_flags_with_mistakes(flags: dict[str, str], message: str) -> None:
    scenario, findings = scenario_from_flags({"model": "Qwen/Qwen2.5-7B", "method": "lora", **flags}, Path())
    assert scenario is None
    assert said(findings)[0].startswith(message)
    assert findings[0].place.path == "command line"
