"""What FSDP has beside weights that are there, against FSDP itself while it shards a model on a CPU."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch
import torch.distributed as dist
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.distributed.fsdp.wrap import ModuleWrapPolicy
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
