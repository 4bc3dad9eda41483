"""Stated ways to load a model, against torch's rules replayed request by request and readings that others published."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from toolkit.accuracy.metrics import PREDICTS
from toolkit.facts.models import ModelFacts, load_model, model_from_config
from toolkit.memory.allocator.caching import CachingAllocator
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.ledger import PhaseName
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.replay.events import Events
from toolkit.memory.replay.generation import generation_events
from toolkit.memory.replay.reserved import replayed
from toolkit.memory.replay.training import Run
from toolkit.memory.tape.recording import programs_of
from toolkit.spec.settings.setting import Lora, Parallel, Setting, Stack

DISTILBERT = "distilbert/distilbert-base-uncased"
STACK = Stack("transformers", versions={"torch": "2.3.1", "transformers": "4.46.0"})
READ = Setting(
    DISTILBERT, "inference", "fp16", head="base", compute="fp16", batch_size=8, sequence_length=64, padding=True,
    attention="eager", warmup=True, gpu="RTX 2060", stack=STACK,
)  # fmt: skip
TRAINED = Setting(DISTILBERT, "full", "fp16", head="masked-lm", compute="fp16", gpu="RTX 2060", stack=Stack("plain"))
LLAMA = Setting("meta-llama/Llama-2-7b-hf", "inference", "bf16", stack=Stack("plain"))
H, F, WORDS, POSITIONS, LAYERS = 768, 3072, 30522, 512, 6
WORKSPACE = 8_519_680
MIB = 2**20


def of(setting: Setting) -> Estimate:
    facts = load_model(setting.model)
    assert isinstance(facts, ModelFacts)
    return estimate(setting, facts)


def events_of(setting: Setting) -> Events:
    context = of(setting).context
    assert context is not None
    programs = programs_of(context)
    return Run(context, programs).events() if setting.trains else generation_events(context, programs)


def ends(setting: Setting) -> int:
    phase = of(setting).ledger.phase(PhaseName.LOAD)
    assert phase is not None
    return sum(row.bytes for row in phase.rows if row.name == "unsplit_blocks")


def in_file() -> Iterator[int]:
    """The elements of DistilBERT's weights as safetensors sorts their names."""
    yield from (H, H, POSITIONS * H, WORDS * H)  # LayerNorm, position_embeddings, word_embeddings
    for _ in range(LAYERS):
        for _ in range(4):  # k, out, q, v
            yield from (H, H * H)
        yield from (F, H * F, H, H * F, H, H, H, H)  # lin1, lin2, and two norms


def in_modules() -> Iterator[int]:
    yield from (WORDS * H, POSITIONS * H, H, H)
    for _ in range(LAYERS):
        for _ in range(4):
            yield from (H * H, H)
        yield from (H, H, H * F, F, H * F, H, H, H)


def test_a_model_made_beside_the_tensors_of_its_file_lies_in_what_they_leave() -> None:
    """Each weight of 1.125 MiB takes 2 MiB behind eight float32 ones of 2.25, or two of 9, in a segment of 20."""
    allocator = CachingAllocator()
    for elements in in_file():
        allocator.allocate(4 * elements)
    before = allocator.allocated
    for elements in in_modules():
        allocator.allocate(2 * elements)
    sizes = sum(-(-2 * elements // 512) * 512 for elements in in_modules())
    assert ends(replace(READ, loading="device-context", checkpoint_dtype="fp32")) == (
        allocator.allocated - before - sizes
    )
    assert ends(READ) < ends(replace(READ, loading="device-context", checkpoint_dtype="fp32"))


def test_what_was_read_of_distilbert() -> None:
    """160.958 MB, by the page of transformers' documentation: the one run whose passes leave no ends of their own."""
    found = of(replace(READ, loading="device-context", checkpoint_dtype="fp32")).allocated
    assert found == pytest.approx(160_958_000, abs=2000)
    assert of(READ).allocated < 154_000_000


def test_moving_takes_tensors_as_modules_have_them_whatever_the_release() -> None:
    """Since 4.50 a device map gets one block for all; what is moved does not, be it to read or to be trained."""
    moved = replace(READ, head="masked-lm", loading="moved", stack=Stack("transformers"))
    assert ends(replace(moved, loading="device-map")) == 0
    assert ends(moved) == ends(TRAINED) > 0


NOTEBOOK = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 32000, "hidden_size": 2048,
    "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16, "num_key_value_heads": 16,
    "max_position_embeddings": 2048,
}  # fmt: skip


def of_notebook(**said: Any) -> Estimate:
    return estimate(Setting("notebook", **{"method": "inference", **said}), model_from_config(NOTEBOOK, "notebook"))


def row(found: Estimate, phase: PhaseName, name: str) -> int:
    named = found.ledger.phase(phase)
    assert named is not None
    return sum(one.bytes for one in named.rows if one.name == name)


def test_weights_quantized_as_they_are_moved_leave_ends_of_what_is_not() -> None:
    """Embedding and head have 125 MiB each in segments of 126; 4-bit weights of 2 and 4 MiB fit into what is free."""
    found = of_notebook(weights="nf4", loading="moved", stack=Stack("plain"))
    assert row(found, PhaseName.LOAD, "unsplit_blocks") == 2 * MIB
    assert row(of_notebook(weights="nf4", stack=Stack("plain")), PhaseName.LOAD, "unsplit_blocks") == 0


@pytest.mark.parametrize(("earlier", "at_load", "prompt"), [("none", 0, 1), ("inference", 1, 1), ("training", 2, 2)])
def test_workspaces_of_what_ran_before_stay(earlier: str, at_load: int, prompt: int) -> None:
    found = of(replace(READ, earlier_passes=earlier))
    assert row(found, PhaseName.LOAD, "cublas_workspace") == at_load * WORKSPACE
    assert row(found, PhaseName.PREFILL, "cublas_workspace") == prompt * WORKSPACE
    trained = of(replace(TRAINED, earlier_passes=earlier))
    assert row(trained, PhaseName.BACKWARD, "cublas_workspace") == 2 * WORKSPACE
    assert row(trained, PhaseName.LOAD, "cublas_workspace") == at_load * WORKSPACE


def test_what_is_replayed_has_them_before_the_model() -> None:
    """Two are there first, and no thread asks for another; otherwise each asks when it first multiplies."""
    for setting, own in ((READ, 1), (TRAINED, 2)):
        asked = [events_of(replace(setting, earlier_passes=said)).sizes[1:] for said in ("none", "training")]
        assert [sizes.count(WORKSPACE) for sizes in asked] == [own, 2]
        assert asked[0][:2] != [WORKSPACE] * 2 == asked[1][:2]


def test_the_files_tensors_are_reserved_while_the_model_is_made() -> None:
    """66 million weights in float32 and in float16 are there at once: 265 and 133 MB; alone they are no half of it."""
    in_context = replace(READ, loading="device-context", checkpoint_dtype="fp32")
    alone, beside = (replayed(of(one)) for one in (READ, in_context))
    assert alone[1] < 220_000_000 < 6 * 66_362_880 < beside[0]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"loading": "device-context"}, "state their dtype as checkpoint_dtype"),
        ({"loading": "moved", "weights": "int8"}, "int8"),
        ({"loading": "device-context", "checkpoint_dtype": "fp32", "weights": "nf4"}, "nf4"),
        ({"loading": "moved", "stack": Stack("litgpt")}, "litgpt"),
        ({"loading": "moved", "method": "full", "parallel": Parallel(2, "fsdp")}, "fsdp"),
    ],
)
def test_what_no_formula_follows_is_refused(more: dict[str, Any], why: str) -> None:
    facts = load_model(LLAMA.model)
    assert isinstance(facts, ModelFacts)
    with pytest.raises(UnsupportedRow, match=why):
        estimate(replace(LLAMA, **more), facts)


@pytest.mark.parametrize(
    ("release", "held"),
    [
        ("4.37.2", 24 * 2 * 2048 * 128 * 2),  # cosines and sines of every layer
        ("4.38.1", 2048**2 * 8),  # one mask of 64-bit integers
        ("4.38.2", 2048**2 + 24 * 2 * 2048 * 128 * 2),  # of booleans, and both
        ("4.39.0", 24 * 2 * 2048 * 128 * 2),
        ("4.41.0", 0),
    ],
)
def test_what_llama_kept_of_positions_by_release(release: str, held: int) -> None:
    found = of_notebook(weights="bf16", stack=Stack("plain", versions={"transformers": release}))
    assert row(found, PhaseName.LOAD, "rotary_caches") == held


def test_layers_of_4_38_kept_the_angles_of_their_last_pass() -> None:
    """(1, S, 128) twice in every layer: what one more pass left in fsdp_qlora's notebooks, 6.3 MB of 512 tokens."""
    found = of_notebook(weights="bf16", sequence_length=512, stack=Stack("plain", versions={"transformers": "4.38.1"}))
    load, prompt = (row(found, phase, "rotary_caches") for phase in (PhaseName.LOAD, PhaseName.PREFILL))
    assert prompt - load == 24 * 2 * 512 * 128 * 2


def test_adapters_are_part_of_what_is_loaded_where_they_are_not_merged() -> None:
    """Rank 8 on q and v of 24 layers: 2 x 24 x 2 x 8 x 2,048 weights in bfloat16."""
    lora = Lora(8, targets=("q_proj", "v_proj"), dtype="bf16")
    at_load = PREDICTS["allocated_at_load"]
    assert callable(at_load)
    alone, beside = (at_load(of_notebook(weights="bf16", lora=said)) for said in (None, lora))
    assert alone is not None
    assert beside is not None
    assert beside[0] - alone[0] == 2 * 24 * 2 * 8 * 2048 * 2
