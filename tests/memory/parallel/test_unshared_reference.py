"""What FSDP has beside weights that are there, against FSDP itself while it shards a model on a CPU.

And what fully_shard has, alone and as accelerate calls it.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.fsdp.wrap import ModuleWrapPolicy
from torch.distributed.tensor import DTensor
from torch.testing._internal.distributed.fake_pg import FakeStore

from tests.memory.parallel.fake_group import FLOAT, LAYERS, RANKS, WIDTH, Layer, Model, Storages
from toolkit.memory.parallel.unshared import beside_whole

pytestmark = pytest.mark.reference

LAYER = 2 * WIDTH * WIDTH * FLOAT


def sharded_out(vocabulary: int) -> tuple[int, int]:
    """The bytes of all storages at most while a model is sharded, and those of its weights before."""
    if not dist.is_initialized():
        dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=RANKS)
    model = Model(vocabulary, "false")
    storages = Storages([])
    for parameter in model.parameters():
        storages.see(parameter)
    before = storages.total()
    with storages:
        FullyShardedDataParallel(
            model, auto_wrap_policy=ModuleWrapPolicy({Layer}), device_id=torch.device("cpu"), use_orig_params=True
        )
    return max(storages.into), before


@pytest.mark.parametrize("vocabulary", [8, 5000])  # the first layer decides, or the root
def test_a_units_tensors_are_there_until_its_part_is(vocabulary: int) -> None:
    most, before = sharded_out(vocabulary)
    root = 2 * vocabulary * WIDTH * FLOAT
    assert before == root + LAYERS * LAYER
    expected = beside_whole([*[LAYER // RANKS] * LAYERS, root // RANKS], RANKS)
    assert most - before == pytest.approx(expected, abs=LAYER // 50)


PARTS = 4
WORDS = 512


class Parts(Storages):
    """Storages, of DTensors those of a GPU's part: they themselves seem as large as the whole."""

    def see(self, thing: Any) -> None:
        super().see(thing._local_tensor if isinstance(thing, DTensor) else thing)


def most_while(cut: Callable[[Any, Any], Any], model: Any) -> tuple[int, int]:
    """The bytes of all storages at most while a model is cut into parts, and those of its weights before."""
    if dist.is_initialized():
        dist.destroy_process_group()
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=PARTS)
    try:
        storages = Parts([])
        for parameter in model.parameters():
            storages.see(parameter)
        before = storages.total()
        with storages:
            cut(model, init_device_mesh("cpu", (PARTS,), mesh_dim_names=("shard",)))
        return max(storages.into), before
    finally:
        dist.destroy_process_group()


def by_layer(model: Any, mesh: Any) -> None:
    for layer in model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)


def by_accelerate(model: Any, mesh: Any) -> None:
    utils = pytest.importorskip("accelerate.utils")
    plugin = utils.FullyShardedDataParallelPlugin(
        fsdp_version=2, auto_wrap_policy="transformer_based_wrap", cpu_ram_efficient_loading=False
    )
    accelerator = SimpleNamespace(
        state=SimpleNamespace(fsdp_plugin=plugin), torch_device_mesh=mesh, mixed_precision="no", is_main_process=False,
        parallelism_config=SimpleNamespace(fsdp_dim_names=("shard",)), device=torch.device("cpu"),
    )  # fmt: skip
    pytest.importorskip("accelerate.utils.fsdp_utils").fsdp2_prepare_model(accelerator, model)


def test_a_loop_lets_go_of_a_layer_once_it_is_cut() -> None:
    most, before = most_while(by_layer, Model(8, "false"))
    assert most - before == pytest.approx(LAYER // PARTS, abs=LAYER // 50)


def test_accelerate_has_all_weights_until_all_parts_are_there() -> None:
    transformers: Any = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        hidden_size=WIDTH, intermediate_size=WIDTH, num_hidden_layers=3, num_attention_heads=4, vocab_size=WORDS
    )
    most, before = most_while(by_accelerate, transformers.LlamaForCausalLM(config))
    assert most == pytest.approx(before + before // PARTS, rel=0.005)
