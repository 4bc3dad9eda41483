"""Optimizers of libraries on what FSDP and fully_shard give them, in a process group that sends nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("bitsandbytes")

import bitsandbytes
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.fsdp.wrap import ModuleWrapPolicy
from torch.testing._internal.distributed.fake_pg import FakeStore
from transformers import Adafactor, LlamaConfig, LlamaForCausalLM

from tests.memory.parallel.fake_group import Storages
from toolkit.facts.models import model_from_config
from toolkit.memory.estimate import estimate, holdings
from toolkit.memory.ledger import Category, PhaseName
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Parallel, Setting

pytestmark = pytest.mark.reference

CONFIG: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 96, "intermediate_size": 260, "num_hidden_layers": 3, "vocab_size": 2_999,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 24, "max_position_embeddings": 64,
    "rms_norm_eps": 1e-6, "tie_word_embeddings": False, "hidden_act": "silu",
}  # fmt: skip
"""Sizes that no number of GPUs divides; norms and some slices are too small for states in 8 bit."""
FLOAT = 4
IN_8_BIT: Mapping[str, tuple[str, dict[str, Any]]] = {
    "adamw_8bit": ("AdamW", {"optim_bits": 8}),
    "lion": ("Lion", {}),
    "lion_8bit": ("Lion", {"optim_bits": 8}),
    "ademamix_8bit": ("AdEMAMix", {"optim_bits": 8}),
    "rmsprop_bnb_8bit": ("RMSprop", {"optim_bits": 8}),
}


@contextmanager
def first_of(ranks: int) -> Iterator[None]:
    if dist.is_initialized():
        dist.destroy_process_group()
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=ranks)
    try:
        yield
    finally:
        dist.destroy_process_group()


def model() -> Any:
    torch.manual_seed(0)
    said = {name: value for name, value in CONFIG.items() if name != "model_type"}
    return LlamaForCausalLM(LlamaConfig(**said))


def flat(whole: Any, *, tensors: bool) -> Any:
    policy = ModuleWrapPolicy({type(whole.model.layers[0])})
    return FullyShardedDataParallel(
        whole, auto_wrap_policy=policy, device_id=torch.device("cpu"), use_orig_params=tensors
    )


def optimizer_of(name: str, sharded: nn.Module) -> Any:
    """As a Trainer makes it, which keeps the states of embeddings in 32 bit beside others in 8 (trainer.py)."""
    if name == "adafactor":
        return Adafactor(sharded.parameters(), lr=1e-4, scale_parameter=False, relative_step=False)
    if name in ("rmsprop", "adagrad"):
        return {"rmsprop": torch.optim.RMSprop, "adagrad": torch.optim.Adagrad}[name](
            sharded.parameters(), foreach=True
        )
    kind, said = IN_8_BIT[name]
    made = getattr(bitsandbytes.optim, kind)(sharded.parameters(), lr=1e-4, **said)
    made.mng = bitsandbytes.optim.GlobalOptimManager.__new__(bitsandbytes.optim.GlobalOptimManager)
    made.mng.initialize()
    if said.get("optim_bits") == 8:
        for module in sharded.modules():
            if isinstance(module, nn.Embedding):
                made.mng.register_module_override(module, "weight", {"optim_bits": 32})
    return made


def stepped(sharded: Any, optimizer: Any) -> int:
    """Steps twice; the bytes that the second step takes beside what was there."""
    sharded(input_ids=torch.zeros(1, 4, dtype=torch.long)).logits.sum().backward()
    optimizer.step()
    storages = Storages([])
    for parameter in sharded.parameters():
        for thing in (parameter, parameter.grad, *optimizer.state.get(parameter, {}).values()):
            storages.see(thing)
    before = storages.total()
    with storages:
        optimizer.step()
    return max(storages.into) - before


def states(optimizer: Any) -> int:
    """The bytes of all states but for tables of what codes mean, and counters."""
    named = (pair for state in optimizer.state.values() for pair in state.items())
    kept = (value for name, value in named if isinstance(value, torch.Tensor) and not name.startswith("qmap"))
    return sum(value.nbytes for value in kept if value.dim())


def setting(name: str, ranks: int, *, tensors: bool) -> Setting:
    return Setting(
        "tiny", "full", "fp32", optimizer=name, optimizer_implementation="foreach", gradients="fp32",
        optimizer_states="fp32", sequence_length=4, batch_size=1,
        parallel=Parallel(ranks, "fsdp", use_orig_params=tensors),
    )  # fmt: skip


@pytest.mark.parametrize("ranks", [2, 3, 5])
@pytest.mark.parametrize("tensors", [True, False], ids=["of tensors", "flat"])
@pytest.mark.parametrize("name", [*IN_8_BIT, "adafactor", "rmsprop", "adagrad"])
def test_states_under_fsdp_are_those_of_the_librarys_own_code(name: str, ranks: int, *, tensors: bool) -> None:
    with first_of(ranks):
        sharded = flat(model(), tensors=tensors)
        optimizer = optimizer_of(name, sharded)
        stepped(sharded, optimizer)
        read = states(optimizer)
    held = holdings(setting(name, ranks, tensors=tensors), model_from_config(CONFIG, "tiny")).phases[-1]
    assert held.of(Category.OPTIMIZER_STATES) == read


@pytest.mark.parametrize("ranks", [2, 3])
@pytest.mark.parametrize("tensors", [True, False], ids=["of tensors", "flat"])
def test_what_adafactors_step_takes_under_fsdp(ranks: int, *, tensors: bool) -> None:
    """One slice after the other, or one flat parameter: of the root there is the most either way."""
    with first_of(ranks):
        sharded = flat(model(), tensors=tensors)
        read = stepped(sharded, optimizer_of("adafactor", sharded))
    ledger = estimate(setting("adafactor", ranks, tensors=tensors), model_from_config(CONFIG, "tiny")).ledger
    step = ledger.phase(PhaseName.OPTIMIZER_STEP)
    assert step is not None
    counted = sum(row.bytes for row in step.rows if row.name == "optimizer_temporary")
    assert counted == pytest.approx(read, abs=64)  # a root mean square is a number


@pytest.mark.parametrize("name", ["adamw_8bit", "lion", "lion_8bit", "rmsprop_bnb_8bit", "adafactor"])
def test_torch_itself_refuses_dtensors_in_other_libraries_steps(name: str) -> None:
    words = "got mixed torch.Tensor and DTensor|does not have a sharding strategy"
    with first_of(2):
        whole = model()
        mesh = init_device_mesh("cpu", (2,))
        for layer in whole.model.layers:
            fully_shard(layer, mesh=mesh)
        sharded = fully_shard(whole, mesh=mesh)
        with pytest.raises((RuntimeError, NotImplementedError), match=words):
            stepped(sharded, optimizer_of(name, sharded))
    asked = Setting("tiny", "full", "fp32", optimizer=name, parallel=Parallel(2, "fsdp2"), sequence_length=4)
    with pytest.raises(UnsupportedRow, match="does not run on parts of tensors"):
        holdings(asked, model_from_config(CONFIG, "tiny"))


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this release of torch has no Muon")
@pytest.mark.parametrize("tensors", [True, False], ids=["of tensors", "flat"])
def test_torch_makes_no_muon_of_flat_parameters(*, tensors: bool) -> None:
    with first_of(2):
        sharded = flat(model(), tensors=tensors)
        with pytest.raises(ValueError, match="only supports 2D parameters"):
            torch.optim.Muon(sharded.parameters())


def test_galore_finds_no_columns_in_flat_parameters() -> None:
    galore = pytest.importorskip("galore_torch")
    with first_of(2):
        sharded = flat(model(), tensors=True)
        matrices = {"rank": 8, "update_proj_gap": 200, "scale": 0.25, "proj_type": "std"}
        groups = [{"params": list(sharded.parameters()), **matrices}]
        optimizer = galore.GaLoreAdamW(groups, lr=1e-4, no_deprecation_warning=True)
        with pytest.raises(IndexError):
            stepped(sharded, optimizer)


T5: dict[str, Any] = {
    "model_type": "t5", "d_model": 92, "d_kv": 28, "d_ff": 150, "num_layers": 2, "num_decoder_layers": 3,
    "num_heads": 3, "vocab_size": 1_999, "relative_attention_num_buckets": 32, "dropout_rate": 0.0,
    "feed_forward_proj": "relu", "tie_word_embeddings": True, "decoder_start_token_id": 0, "pad_token_id": 0,
}  # fmt: skip


@pytest.mark.parametrize("tensors", [True, False], ids=["of tensors", "flat"])
@pytest.mark.parametrize("name", ["adamw_8bit", "lion_8bit"])
def test_units_of_two_stacks_are_an_encoders_and_a_decoders_layers(name: str, *, tensors: bool) -> None:
    """T5's biases of relative positions lie in the first layer of each stack, its one embedding in the root."""
    from transformers import T5Config, T5ForConditionalGeneration
    from transformers.models.t5.modeling_t5 import T5Block

    said = {key: value for key, value in T5.items() if key != "model_type"}
    with first_of(3):
        whole = T5ForConditionalGeneration(T5Config(**said))
        sharded = FullyShardedDataParallel(
            whole, auto_wrap_policy=ModuleWrapPolicy({T5Block}), device_id=torch.device("cpu"), use_orig_params=tensors
        )
        optimizer = optimizer_of(name, sharded)
        ids = torch.zeros(1, 4, dtype=torch.long)
        sharded(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        read = states(optimizer)
    held = holdings(setting(name, 3, tensors=tensors), model_from_config(T5, "tiny")).phases[-1]
    assert held.of(Category.OPTIMIZER_STATES) == read
