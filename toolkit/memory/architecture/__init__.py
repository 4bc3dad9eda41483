"""Published configs as architectures: exact names and shapes of every parameter, without torch."""

from toolkit.memory.architecture.config import MalformedConfig, UnsupportedModel
from toolkit.memory.architecture.model import (
    Architecture,
    Attention,
    FeedForward,
    LayerKind,
    Module,
    ModuleKind,
    Tensor,
)
from toolkit.memory.architecture.registry import FAMILIES, SAME_CODE, architecture_of

__all__ = [
    "FAMILIES",
    "SAME_CODE",
    "Architecture",
    "Attention",
    "FeedForward",
    "LayerKind",
    "MalformedConfig",
    "Module",
    "ModuleKind",
    "Tensor",
    "UnsupportedModel",
    "architecture_of",
]
