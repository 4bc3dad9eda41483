"""Which tool a file is of, what the command line says over it, and files that mean harm."""

import json
from pathlib import Path

import pytest

from tests.spec.training_configs.reading import fields, mistakes, read
from tests.work import calls
from toolkit.codes import CODES
from toolkit.facts.models import MODEL_IDS
from toolkit.finding import Severity
from toolkit.spec.load import load_scenario
from toolkit.spec.training_configs import TOOLS
from toolkit.spec.training_configs.read import _READERS, read_training_config

TELLING = {
    "axolotl": "base_model: Qwen/Qwen2.5-0.5B\nmicro_batch_size: 1\n",
    "llamafactory": "model_name_or_path: Qwen/Qwen2.5-0.5B\ndo_train: true\nfinetuning_type: lora\n",
    "torchtune": "model: {_component_: torchtune.models.qwen2_5.qwen2_5_0_5b}\n"
    "optimizer: {_component_: torch.optim.SGD}\n",
    "trl": "model_name_or_path: Qwen/Qwen2.5-0.5B\nmax_length: 512\n",
    "transformers": "per_device_train_batch_size: 2\nlearning_rate: 1.0e-4\n",
}


def test_there_is_a_telling_file_of_every_tool() -> None:
    assert set(TELLING) == set(TOOLS) == set(_READERS)


@pytest.mark.parametrize("tool", TOOLS)
def test_its_own_keys_tell_a_tool_and_that_is_said(tmp_path: Path, tool: str) -> None:
    found = read(tmp_path, TELLING[tool], None, model="Qwen/Qwen2.5-0.5B", method="full")
    assert found.tool == tool
    assert found.notes == (f"config.yaml: read as a configuration of {tool}, by its keys",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\n", "none of its keys is one tool's own"),
        ("base_model: x/y\nfinetuning_type: lora\n", "it has keys of axolotl and llamafactory"),
        ("model_name_or_path: x/y\nlearning_rate: 1\n", "it has keys of transformers and trl"),
    ],
)
def test_what_is_not_one_tools_is_asked_for(tmp_path: Path, text: str, words: str) -> None:
    (found,) = mistakes(tmp_path, text, None)
    assert "S105 whose configuration this is cannot be told" in found
    assert words in found


def test_the_command_line_says_fields_over_the_file(tmp_path: Path) -> None:
    text = TELLING["axolotl"] + "optimizer: adamw_torch_4bit\nbase_model_config: x\n"
    found = fields(
        tmp_path, text.replace("Qwen/Qwen2.5-0.5B", "/models/mine"), "axolotl",
        model="Qwen/Qwen2.5-7B", optimizer="lion", gpu="RTX 4090",
    )  # fmt: skip
    assert (found["model"], found["optimizer"], found["gpu"]) == ("Qwen/Qwen2.5-7B", "lion", "RTX 4090")
    assert "optimizer_implementation" not in found


def test_a_mistake_of_the_command_line_is_told_beside_those_of_the_file(tmp_path: Path) -> None:
    found = mistakes(tmp_path, TELLING["axolotl"].replace("1\n", "0\n"), "axolotl", lora__rank="0")
    assert any(one.startswith("command line") for one in found)
    assert any(one.startswith("config.yaml:2:19") for one in found)


@pytest.mark.parametrize("path", ["/etc/passwd", "../secret/config.json", "~/model", "models/mine", "./mine"])
def test_paths_of_models_are_not_followed(tmp_path: Path, path: str) -> None:
    folder = tmp_path / "inside"
    folder.mkdir()
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    found = mistakes(folder, f"base_model: {path}\n", "axolotl")
    assert len(found) == 1
    assert " S109 " in found[0] or " S107 " in found[0]


def test_a_config_beside_the_file_is_a_model(tmp_path: Path) -> None:
    config = {"model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
              "num_attention_heads": 4, "vocab_size": 100}  # fmt: skip
    (tmp_path / "tiny.json").write_text(json.dumps(config), encoding="utf-8")
    assert fields(tmp_path, "base_model: tiny.json\n", "axolotl")["model"] == "tiny.json"


def test_an_unknown_model_is_told_with_the_nearest(tmp_path: Path) -> None:
    found = read(tmp_path, "base_model: Qwen/Qwen2.5-Coder-7\n", "axolotl")
    (one,) = [finding for finding in found.findings if finding.severity is Severity.ERROR]
    assert str(one.place) == "config.yaml:1:13"
    assert one.repair is not None
    assert "Qwen/Qwen2.5-Coder-7B" in one.repair
    assert one.repair.endswith(", or add --model")
    assert "Qwen/Qwen2.5-Coder-7B" in MODEL_IDS


HOSTILE = {
    "alias": ("a: &a [1]\nbase_model: *a\n", "S112"),
    "bomb": ("a: &a [x]\n" + "".join(f"b{n}: [*a, *a, *a]\n" for n in range(50)), "S112"),
    "python": ("base_model: !!python/object/apply:os.system ['true']\n", "S112"),
    "merge": ("x: {y: 1}\n<<: {base_model: z}\n", "S112"),
    "deep": ("a: " + "[" * 200 + "]" * 200 + "\n", "S112"),
    "twice": ("base_model: Qwen/Qwen2.5-0.5B\nbase_model: Qwen/Qwen2.5-7B\n", "S102"),
    "list": ("- base_model\n", "S104"),
    "nothing": ("", "S104"),
    "documents": ("a: 1\n---\nb: 2\n", "S101"),
    "broken": ("a: [1\n", "S101"),
    "escape": ('base_model: "Qwen/\x1b[31mred"\n', "S101"),
    "mapping": ("base_model: {a: b}\nmicro_batch_size: [1]\nadapter: {x: y}\n", "S104"),
    "numbers": ("base_model: Qwen/Qwen2.5-0.5B\nmicro_batch_size: 99999999999999999999999\n", "S104"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_findings(tmp_path: Path, name: str) -> None:
    text, code = HOSTILE[name]
    for tool in (*TOOLS, None):
        found = read(tmp_path, text, tool)
        assert found.scenario is None or name == "numbers"
        assert all(one.code in CODES for one in found.findings)
        if tool == "axolotl":
            assert code in {one.code for one in found.findings}


def test_size_is_limited(tmp_path: Path) -> None:
    found = read(tmp_path, "a: " + "x" * 3_000_000, "axolotl")
    assert [one.code for one in found.findings] == ["S112"]


def test_work_grows_with_unknown_keys_and_no_faster(tmp_path: Path) -> None:
    def work(count: int) -> int:
        text = TELLING["axolotl"] + "".join(f"strange_key_{n}: {n}\n" for n in range(count))

        def done() -> None:
            found = read(tmp_path, text, "axolotl")
            assert found.scenario is not None
            assert any("more keys are not read" in one.message for one in found.findings)

        return calls(done)

    work(300)
    assert work(4_000) < 2.3 * work(2_000)


def test_a_file_outside_is_not_read(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    outside = tmp_path / "config.yaml"
    outside.write_text(TELLING["axolotl"], encoding="utf-8")
    link = inside / "config.yaml"
    link.symlink_to(outside)
    found = read_training_config(link, inside, "axolotl")
    assert [one.code for one in found.findings] == ["S109"]
    assert [one.code for one in read_training_config(inside / "nowhere", inside, "trl").findings] == ["S111"]


def test_yaml_1_1_words_are_read_as_the_tools_read_them(tmp_path: Path) -> None:
    text = TELLING["axolotl"] + "bf16: yes\ngradient_checkpointing: On\nadapter: ~\nfp16: NO\n"
    found = fields(tmp_path, text, "axolotl")
    assert (found["weights"], found["gradient_checkpointing"], found["method"]) == ("bf16", "reentrant", "full")
    quoted = mistakes(tmp_path, TELLING["axolotl"] + 'gradient_checkpointing: "yes"\n', "axolotl")
    assert "S104 gradient_checkpointing" in quoted[0]


def test_every_tool_reads_what_it_prints_back(tmp_path: Path) -> None:
    from toolkit.report.scenario import scenario_json, scenario_yaml

    for tool in TOOLS:
        found = read(tmp_path, TELLING[tool], tool, model="Qwen/Qwen2.5-0.5B", method="lora")
        assert found.scenario is not None
        for name, text in (
            ("a.yaml", scenario_yaml(found.scenario, found)),
            ("b.json", scenario_json(found.scenario)),
        ):
            (tmp_path / name).write_text(text, encoding="utf-8")
            again, findings = load_scenario(tmp_path / name, tmp_path)
            assert again is not None, findings
            assert {key: one.value for key, one in again.fields.items()} == {
                key: one.value for key, one in found.scenario.fields.items()
            }
