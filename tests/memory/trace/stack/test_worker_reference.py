"""The process of a stack finds what this one does where the libraries are the same, and with old ones what GPUs did."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from tests.memory.measure.jobs import LORA, job, tiny
from toolkit.facts.models import ModelFacts, load_model, model_from_config
from toolkit.memory.trace.many.campaign import Job, traced
from toolkit.memory.trace.stack import environment as environments
from toolkit.memory.trace.stack.apart import traced_apart
from toolkit.memory.trace.stack.borrowed import lend, whole
from toolkit.memory.trace.stack.environment import cache_folder
from toolkit.memory.trace.stack.named import NamedStack, named_stack
from toolkit.spec.settings.setting import Lora, Setting, Stack

pytestmark = pytest.mark.reference

OLD = "transformers==4.45.2,peft==0.13.2,bitsandbytes==0.43.3"
TARGETS = ("k_proj", "o_proj", "q_proj", "v_proj")


def silent(_: str) -> None:
    pass


def test_the_same_libraries_find_the_same() -> None:
    made = [
        job("lora", method="lora", lora=LORA, gradients="fp32", optimizer_states="fp32").setting,
        job("inference", method="inference", generated_length=3).setting,
    ]
    jobs = [Job(setting.method, setting, tiny()) for setting in made]
    here = {one.job.scenario: one.record for one in traced(jobs, 1, silent)}
    apart = {one.job.scenario: one.record for one in traced_apart(Path(sys.executable), jobs, 1, silent)}
    assert set(apart) == set(here) == {"lora", "inference"}
    for name, record in here.items():
        other = apart[name]
        assert record is not None
        assert other is not None
        assert replace(record, made={}) == replace(other, made={})


def test_every_layer_is_traced_there_too() -> None:
    whole = [replace(Job("full", job().setting, tiny()), whole=True)]
    (found,) = traced_apart(Path(sys.executable), whole, 1, silent)
    assert found.record is not None
    assert found.record.made["traced"] == "every layer"


def test_a_refusal_comes_with_its_reason_and_the_next_job_is_done() -> None:
    jobs = [
        Job("odd", replace(job().setting, stack=Stack("litgpt")), tiny()),
        Job("unknown", job().setting, model_from_config({"model_type": "no-such"}, "no/such")),
        Job("full", job().setting, tiny()),
    ]
    odd, unknown, full = traced_apart(Path(sys.executable), jobs, 1, silent)
    assert odd.reason == "code of litgpt is not traced yet"
    assert "no model type" in unknown.reason
    assert full.record is not None


def test_torch_is_lent_by_links_that_are_watched(tmp_path: Path) -> None:
    assert lend(tmp_path / "lent") == ""
    names = {path.name for path in (tmp_path / "lent").iterdir()}
    assert {"torch", "torchgen"} <= names
    assert "transformers" not in names
    assert all(path.is_symlink() for path in (tmp_path / "lent").iterdir())
    assert whole(tmp_path / "lent")
    (tmp_path / "lent" / "gone").symlink_to(tmp_path / "no-such")
    assert not whole(tmp_path / "lent")


# specs/published/fms_acceleration, commit 9239802: transformers 4.45.2, peft 0.13.2, bitsandbytes 0.43.3, torch 2.4.1
# on an A100; torch.cuda.max_memory_allocated of the training stage, batch 4 of 4,096 tokens.
READINGS = {"lora": 25_653_881_344, "qlora": 20_556_796_416}


@pytest.mark.slow
@pytest.mark.parametrize("method", READINGS)
def test_an_old_stack_needs_what_it_was_read_to_need(method: str) -> None:
    """Runs where somebody has made the environment (`toolkit trace SPEC --stack ...`): tests fetch nothing."""
    stack = named_stack(OLD)
    assert isinstance(stack, NamedStack)
    place = cache_folder() / environments._key(stack)
    if not environments._is_whole(stack, place):
        pytest.skip(f"no environment with {stack} has been made here")
    facts = load_model("mistralai/Mistral-7B-v0.1")
    assert isinstance(facts, ModelFacts)
    four_bit = {"weights": "nf4", "double_quant": True, "amp": True}
    setting = Setting(
        facts.id, method, **({"weights": "bf16"} if method == "lora" else four_bit), compute="bf16", batch_size=4,
        sequence_length=4096, gradient_checkpointing="reentrant", attention="flash", optimizer_implementation="foreach",
        gradients="fp32", optimizer_states="fp32",
        lora=Lora(16, 16, TARGETS, 0.1), gpu="A100 80GB", stack=Stack("trl", "cross-entropy", {"trl": "0.11.4"}),
    )  # fmt: skip
    (found,) = traced_apart(environments._python(place), [Job(method, setting, facts)], 1, silent)
    assert found.record is not None, found.reason
    assert found.record.libraries["transformers"] == "4.45.2"
    assert found.record.peak["blocks"][0] == pytest.approx(READINGS[method], rel=1e-4)
