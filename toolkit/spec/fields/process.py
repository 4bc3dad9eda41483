"""The fields that say how a model was loaded, and how its process holds memory of the GPU: data only."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.spec.fields import names
from toolkit.spec.fields.field import FieldSpec
from toolkit.spec.fields.kind import Boolean, one_of

DEVICE_MAP, MOVED, IN_CONTEXT = "device-map", "moved", "device-context"
LOADINGS = {
    DEVICE_MAP: "from_pretrained with a device_map: tensor by tensor in the order of the file",
    MOVED: "made or loaded in main memory, then model.to(device): tensor by tensor in the order of the modules",
    IN_CONTEXT: "from_pretrained inside torch.device(...), from one file: its tensors on the GPU beside the model's",
}

NONE, INFERENCE, TRAINING = "none", "inference", "training"
EARLIER = {
    NONE: "no matrix products",
    INFERENCE: "forward passes, whose thread has kept a cuBLAS workspace",
    TRAINING: "backward passes as well, whose thread has kept another",
}


def process_fields() -> Iterator[FieldSpec]:
    """How weights are loaded, and what earlier passes left behind."""
    yield FieldSpec(
        "loading",
        one_of("a way to load a model", LOADINGS),
        "How the model's weights are brought to the GPU; by default as the stack's trainer does it.",
        (MOVED,),
        frozenset(("temporary", "reserved", "device")),
    )
    yield FieldSpec(
        "checkpoint_dtype",
        one_of("a dtype of a file of weights", names.FLOATS),
        "The dtype of the file that weights are loaded from, where its tensors reach the GPU first.",
        ("fp32",),
        frozenset(("temporary", "reserved", "device")),
        "device context",
    )
    yield FieldSpec(
        "earlier_passes",
        one_of("what a process has run", EARLIER),
        "What the process ran on the GPU before the model was loaded: torch never frees cuBLAS's workspaces.",
        (TRAINING,),
        frozenset(("workspace", "reserved", "device")),
    )
    yield FieldSpec(
        "expandable_segments",
        Boolean(),
        "Whether torch's allocator grows its segments (PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True): less lies "
        "free between tensors. By default it does not.",
        ("true",),
        frozenset(("reserved", "device")),
    )
