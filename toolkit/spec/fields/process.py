"""The fields that say how a model came to the GPU, and what its process had run there before: data only."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.spec.fields import names
from toolkit.spec.fields.field import FieldSpec
from toolkit.spec.fields.kind import one_of

DEVICE_MAP, MOVED, IN_CONTEXT = "device-map", "moved", "device-context"
LOADINGS = {
    DEVICE_MAP: "from_pretrained with a device_map: tensor by tensor as the file has them",
    MOVED: "made or loaded in main memory, then model.to(device): tensor by tensor as the modules have them",
    IN_CONTEXT: "from_pretrained within torch.device(...), of one file: its tensors on the GPU, the model's beside",
}

NONE, INFERENCE, TRAINING = "none", "inference", "training"
EARLIER = {
    NONE: "nothing that multiplies",
    INFERENCE: "forward passes, whose thread has a workspace of cuBLAS since",
    TRAINING: "backward passes too, whose thread has another",
}


def process_fields() -> Iterator[FieldSpec]:
    """How weights are loaded, and what is left of what ran before them."""
    yield FieldSpec(
        "loading",
        one_of("a way to load a model", LOADINGS),
        "How the model's weights came to the GPU; without it, as the trainer of the stack does.",
        (MOVED,),
        frozenset(("temporary", "reserved", "device")),
    )
    yield FieldSpec(
        "checkpoint_dtype",
        one_of("a dtype of a file of weights", names.FLOATS),
        "The dtype of the file that weights are loaded from, where its tensors are on the GPU first.",
        ("fp32",),
        frozenset(("temporary", "reserved", "device")),
        "device context",
    )
    yield FieldSpec(
        "earlier_passes",
        one_of("what a process has run", EARLIER),
        "What the process ran on the GPU before the model was loaded: torch never takes cuBLAS's workspaces back.",
        (TRAINING,),
        frozenset(("workspace", "reserved", "device")),
    )
