"""`toolkit models`, `schema` and `software`: lists, and what is written."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import run
from toolkit.facts.models import MODEL_IDS, ModelFacts, load_model
from toolkit.facts.refresh_software import FetchError, Refresh

CONFIG = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 100,
    "tie_word_embeddings": True,
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)

    def no_network(url: str, limit: int) -> dict[str, Any]:
        raise FetchError(f"{url}: no network in tests")

    monkeypatch.setattr("toolkit.cli.models.fetch_json", no_network)
    return tmp_path


def config_file(folder: Path, **more: object) -> str:
    (folder / "config.json").write_text(json.dumps({**CONFIG, **more}), encoding="utf-8")
    return "config.json"


def test_list_has_every_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert [line.split()[0] for line in run(capsys, "models", "list").out.splitlines()] == list(MODEL_IDS)
    families = json.loads(run(capsys, "models", "list", "--family", "gpt_oss", "--format", "json").out)
    assert {model["family"] for model in families} == {"gpt_oss"}


def test_an_unknown_family_is_two(capsys: pytest.CaptureFixture[str]) -> None:
    ran = run(capsys, "models", "list", "--family", "gpt_os")
    assert ran.code == 2
    assert "gpt_oss" in ran.err


def test_show_tells_what_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert "7615616512" in run(capsys, "models", "show", "Qwen/Qwen2.5-Coder-7B").out
    shown = json.loads(run(capsys, "models", "show", "Qwen/Qwen2.5-Coder-7B", "--format", "json").out)
    assert shown["config"]["hidden_size"] == 3584
    assert run(capsys, "models", "show", "Qwen/Qwen2.5-Coder-7").code == 2


def test_a_count_that_nothing_published_confirms_is_not_called_verified(capsys: pytest.CaptureFixture[str]) -> None:
    shown = run(capsys, "models", "show", "albert/albert-base-v2").out
    assert "\nparameters: 11221680\nnot verified: " in shown
    assert "verified parameters" not in shown
    listed = {line.split()[0]: line for line in run(capsys, "models", "list").out.splitlines()}
    assert listed["albert/albert-base-v2"].endswith("not verified")
    assert not listed["Qwen/Qwen2.5-7B"].endswith("not verified")


def test_add_from_a_file_pins_it_for_specs(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    ran = run(capsys, "models", "add", "me/mine", "--from", config_file(folder))
    assert ran.code == 0
    assert "models/me--mine.json: me/mine, " in ran.out
    facts = load_model("me/mine", base=folder)
    assert isinstance(facts, ModelFacts)
    assert facts.config == CONFIG
    assert not facts.verified
    assert sorted(path.name for path in (folder / "models").iterdir()) == ["me--mine.json"]


def test_add_fetches_one_file_from_the_hub(
    capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def fetch(url: str, limit: int) -> dict[str, Any]:
        asked.append(url)
        return CONFIG

    monkeypatch.setattr("toolkit.cli.models.fetch_json", fetch)
    assert run(capsys, "models", "add", "me/mine", "--folder", "specs").code == 0
    assert asked == ["https://huggingface.co/me/mine/resolve/main/config.json"]
    assert (folder / "specs" / "models" / "me--mine.json").is_file()


@pytest.mark.parametrize(
    "name", ["../me/mine", "me/../mine", "/etc/passwd", "mine", "me/mine?x", "me/mine.json", "me\n/x"]
)
def test_a_name_that_is_no_id_writes_nothing(capsys: pytest.CaptureFixture[str], folder: Path, name: str) -> None:
    ran = run(capsys, "models", "add", name, "--from", config_file(folder))
    assert ran.code == 2
    assert sorted(path.name for path in folder.iterdir()) == ["config.json"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"model_type": "chatglm", "auto_map": {"AutoModel": "modeling.py"}}, "never run here"),
        ({"model_type": "no-such-type"}, "no-such-type"),
        ({"hidden_size": "wide"}, "hidden_size"),
    ],
)
def test_a_config_that_cannot_be_read_is_refused(
    capsys: pytest.CaptureFixture[str], folder: Path, more: dict[str, object], said: str
) -> None:
    ran = run(capsys, "models", "add", "me/mine", "--from", config_file(folder, **more))
    assert ran.code == 2
    assert said in ran.err
    assert not (folder / "models").exists()


def test_no_network_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    ran = run(capsys, "models", "add", "me/mine")
    assert ran.code == 2
    assert "no network in tests" in ran.err


def test_schema_is_printed_and_compared(
    capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = json.loads(run(capsys, "schema").out)
    assert schema["required"] == ["document"]
    assert schema["anyOf"] == [{"required": ["claims"]}, {"required": ["marks"]}]
    assert json.loads(run(capsys, "schema", "--scenario").out)["required"] == ["model", "method"]
    assert run(capsys, "schema", "--check").code == 0
    monkeypatch.setattr("toolkit.cli.schema.COMMITTED", folder / "spec.schema.json")
    ran = run(capsys, "schema", "--check")
    assert ran.code == 1
    assert "toolkit schema > " in ran.err


def test_software_refresh_tells_what_is_new(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = Refresh({"torch": ("9.0.0",), "peft": ()}, {"torch": (), "peft": ()}, ("trl: no answer",))
    monkeypatch.setattr("toolkit.cli.software.refresh", lambda *_, **__: done)
    ran = run(capsys, "software", "refresh")
    assert ran.code == 2
    assert ran.out == "torch: 1 new release: 9.0.0\npeft: 0 new releases\n"
    assert "trl: no answer" in ran.err
