"""Records that somebody wrote to do harm, or by mistake: each is named by its line, and nothing half-made written."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.accuracy.build import record
from tests.cli.command import run
from toolkit.accuracy.convert import form
from toolkit.accuracy.convert.form import NEEDED
from toolkit.accuracy.convert.loops import _NAMED
from toolkit.accuracy.convert.remarks import _OTHER_LOSS
from toolkit.accuracy.convert.slug import slug_problem
from toolkit.accuracy.convert.sources import RULES
from toolkit.accuracy.convert.vocabulary import _COUNT, _REMARK, gpu_of
from toolkit.accuracy.convert.write import Conversion, convert
from toolkit.finding import printable
from toolkit.spec.published_lines import LineReader

ESCAPE = "\x1b]0;owned\x07\u202e\ud800"


def lines(*records: dict[str, Any]) -> list[str]:
    return [json.dumps(one) for one in records]


def errors(found: Conversion) -> list[tuple[int, str]]:
    return [(one.place.line, one.code) for one in found.findings if one.severity == "error"]


def test_every_mistake_of_every_line_is_said_in_one_run() -> None:
    sound = record(value_bytes=1)
    found = convert("new", [
        "{", "[]", "{}", json.dumps({**sound, "batch_size": "4"}), json.dumps({**sound, "value": float("nan")}),
        json.dumps(sound), "", json.dumps(sound), '{"id": 1, "id": 2}', "[" * 100_000,
        json.dumps({**sound, "source": 7}),
    ])  # fmt: skip
    assert errors(found) == [
        (1, "S101"), (2, "S104"), (3, "S105"), (4, "S104"), (5, "S101"), (8, "S102"), (9, "S102"), (10, "S112"),
        (11, "S104"),
    ]  # fmt: skip
    assert not found.sound


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", ""), ("id", None), ("config_id", 7), ("task", ["lora"]), ("model", {"a": 1}), ("batch_size", -1),
        ("batch_size", 1.5), ("batch_size", True), ("seq_len", 10**30), ("lora", "r=8"), ("parallelism", {"gpus": 0}),
        ("parallelism", {"gpus": "two"}), ("parallelism", {"gpus": 2, "kind": 3}), ("versions", ["torch"]),
        ("gradient_checkpointing", 1), ("value", "12"), ("value", 1e300), ("value_bytes", "12"), ("notes", 3),
        ("source", {"repo": "a/b"}), ("source", {"repo": "a/b", "path": "x", "commit": 3}), ("config_id", "x" * 301),
    ],
)  # fmt: skip
def test_a_field_that_holds_what_it_may_not_is_named(name: str, value: object) -> None:
    found = convert("new", lines(record(value_bytes=1), {**record(value_bytes=1, id="y"), name: value}))
    [(line, code)] = errors(found)
    assert (line, code) in ((2, "S104"), (2, "S112"))
    assert name in next(one.message for one in found.findings if one.severity == "error")


def test_neither_terminal_nor_yaml_nor_a_line_is_broken_out_of() -> None:
    one = record(value_bytes=1, id=f"a{ESCAPE}", config_id=f"c{ESCAPE}\n{{}}", gpu=f"gpu{ESCAPE}", task=f"what{ESCAPE}")
    one["source"] = {"repo": f"a/b{ESCAPE}\nmetric: owned", "path": f"p{ESCAPE}", "commit": "c"}
    found = convert("new", lines({**one, f"odd{ESCAPE}": 1}), f"{ESCAPE}.jsonl".replace("\ud800", ""))
    assert found.sound
    header = yaml.safe_load(found.header)
    assert header["metric"].startswith("allocated: ")
    assert len(found.readings.splitlines()) == 1
    texts = [found.readings.rstrip("\n"), *(part for part in found.header.split("\n"))]
    texts += [one.message for one in found.findings]
    for text in texts:
        assert text == printable(text)
        text.encode("utf-8")


def test_groups_of_a_record_may_hold_anything() -> None:
    odd: dict[str, Any] = {
        "lora": {"r": "many", "alpha": [], "targets": [1, 2], "dropout": {}, "modules_to_save": 7,
                 "peft_config": {"use_dora": True, "lora_dropout": "x", 3: 4}},
        "versions": {"torch": 7, "text": ["a"], "vllm": None}, "task": "lora",
    }  # fmt: skip
    found = convert("new", lines(record(value_bytes=1, **odd)))
    assert found.sound
    beyond = json.loads(found.readings)["beyond"]
    assert {"lora.rank", "lora.alpha", "lora.targets", "lora.dropout"} <= beyond.keys()
    method = {**odd, "task": "oft", "lora": {"peft_config": {"target_modules": 7, "r": [], "token_indices": 3}}}
    assert convert("new", lines(record(value_bytes=1, **method))).sound


def test_a_file_has_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form, "MAX_RECORDS", 2)
    found = convert("new", lines(*(record(value_bytes=1, id=name) for name in "abc")))
    assert errors(found) == [(3, "S112")]
    assert errors(convert("new", ['"' + "x" * form.MAX_LINE + '"'])) == [(1, "S112")]
    assert errors(convert("new", [])) == [(1, "S105")]


def test_many_readings_of_one_run_become_several_runs() -> None:
    found = convert("new", lines(*(record(value_bytes=1, id=str(n)) for n in range(130))))
    assert found.sound
    made = [json.loads(line) for line in found.readings.splitlines()]
    assert [(one["run"], len(one["readings"])) for one in made] == [("x", 64), ("x#2", 64), ("x#3", 2)]


@pytest.mark.parametrize("slug", ["..", ".", "", "a/b", "-x", ".hidden", "a\x1b", "x" * 101, "evidence", "venv", "a."])
def test_no_folder_lies_elsewhere_or_is_passed_over(slug: str) -> None:
    assert slug_problem(slug) is not None


@pytest.mark.parametrize("slug", [*RULES, "new-bench_2.1"])
def test_names_of_sources_may_be_folders(slug: str) -> None:
    assert slug_problem(slug) is None


def test_a_file_is_written_in_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    good, bad = lines(record(value_bytes=1, gpu="TPU v4")), [*lines(record(value_bytes=1)), "{", "{}"]
    Path("good.jsonl").write_text("\n".join(good), encoding="utf-8")
    Path("bad.jsonl").write_text("\n".join(bad), encoding="utf-8")
    Path("...jsonl").write_text("\n".join(good), encoding="utf-8")
    Path("text.jsonl").write_bytes(b"\xff\xfe")
    ran = run(
        capsys, "readings", "bad.jsonl", "...jsonl", "text.jsonl", "gone.jsonl", "good.jsonl", "--out", "out/made"
    )
    assert ran.code == 2
    assert sorted(str(path.relative_to("out")) for path in Path("out").rglob("*")) == [
        "made", "made/good", "made/good/readings.jsonl", "made/good/source.yaml"
    ]  # fmt: skip
    for said in ("bad.jsonl:2:1: S101", "bad.jsonl:3:1: S105", "...jsonl: a source is called", "gone.jsonl: No such",
                 "text.jsonl: 'utf-8' codec", "good.jsonl:1:1: S107 gpu: TPU v4", "good.jsonl: 1 runs"):  # fmt: skip
        assert said in ran.err, said
    assert run(capsys, "accuracy", "out/made", "--format", "json").code == 0


def test_a_record_that_the_sources_rule_does_not_know_is_read_by_the_general_one() -> None:
    """The rule of GPTQ-for-LLaMa takes a length for granted."""
    one = record(task="inference", value_bytes=1)
    found = convert("gptq_for_llama", lines(one))
    assert found.sound
    assert "the rule of gptq_for_llama" in found.findings[0].message
    assert found.readings == convert("new", lines(one)).readings


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.sampled_from(
    ["bf16", "fp8", "nf4", "GPTQ 4-bit group 32", "LoRA", "inference", "vLLM serving", "ZeRO-3", "GiB", "allocated_max",
     "A100 80GB", "max_seq_len 10; = 99 tokens/sample", "yaml keys: {", "framework_config=foak-fast-kernels"]
)  # fmt: skip
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(NEEDED)), _VALUES, max_size=6), st.sampled_from(["new", *RULES]))
def test_whatever_a_record_holds_is_read_or_named(odd: dict[str, Any], slug: str) -> None:
    written = json.dumps({**record(value_bytes=1), **odd})
    found = convert(slug, [written])
    if found.sound:
        reader = LineReader("readings.jsonl")
        for number, line in enumerate(found.readings.splitlines(), 1):
            assert reader.run(line, number) is not None
        assert reader.findings == []
        yaml.safe_load(found.header)
        (found.header + found.readings).encode("utf-8")
    else:
        assert errors(found)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(NEEDED - {"id", "config_id", "source", "metric", "unit", "value"})),
                       _SCALARS.filter(lambda one: one is None or isinstance(one, str)), max_size=8))  # fmt: skip
def test_texts_in_fields_of_texts_never_stop_the_rest(odd: dict[str, Any]) -> None:
    """What a text means may be unknown, and that is a remark; only a field of another kind is a mistake."""
    kinds = {name: value for name, value in odd.items() if name in form._TEXTS and name != "model"}
    assert convert("new", lines({**record(value_bytes=1), **kinds})).sound


@pytest.mark.parametrize(("notes", "apart"), [("loss is logits.mean()", True), ("loss is " * 12_000, False)])
def test_long_remarks_are_read_in_time(notes: str, apart: bool) -> None:
    """Each place where one may begin looks a little ahead, not to the end: time grows with the length."""
    assert (_OTHER_LOSS.search(notes) is not None) == apart


@pytest.mark.parametrize(
    ("text", "named"), [("outputs = my_model_x(**batch)", True), ("out = " + "model" * 100 + "(x)", False)]
)
def test_a_name_is_read_as_far_as_names_go(text: str, named: bool) -> None:
    """Of a word of any length each part may be the name's beginning: no more than a name's length is looked at."""
    assert (_NAMED.search(text) is not None) == named


@pytest.mark.parametrize(
    ("published", "card"),
    [
        ("A100   (one of four) 80GB", "A100 80GB"), ("(lent) H100", "H100"), ("RTX 4090\t x2", "GeForce RTX 4090"),
        ("2 x  RTX 3090", "GeForce RTX 3090"),
    ],
)  # fmt: skip
def test_remarks_and_counts_are_taken_off_a_card(published: str, card: str) -> None:
    assert gpu_of(published) == card


@pytest.mark.parametrize(("pattern", "end"), [(_REMARK, "(a)"), (_COUNT, "x2")])
def test_spaces_of_a_card_are_followed_from_the_first_of_them_alone(pattern: re.Pattern[str], end: str) -> None:
    """A run of spaces is looked at once, and not again from each of its spaces."""
    text = "A100" + " " * 9 + end
    assert [found.start() for found in pattern.finditer(text)] == [4]
    assert pattern.match(text, 7) is None
