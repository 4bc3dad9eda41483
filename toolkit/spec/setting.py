"""A setting: a scenario with every field decided. What estimates, traces and measurements are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Lora:
    """LoRA as peft configures it.

    `targets` is "all-linear" or module names as peft matches them (by suffix).
    """

    rank: int
    alpha: int | None = None
    targets: str | tuple[str, ...] = "all-linear"
    dropout: float = 0.0
    dtype: str | None = None  # None: what the trainer of the stack does


@dataclass(frozen=True, slots=True)
class Parallel:
    """How a run is spread over GPUs."""

    gpus: int = 1
    strategy: str = "none"
    offload: bool = False


@dataclass(frozen=True, slots=True)
class Stack:
    """The software that decides defaults: the trainer, the loss implementation, and library versions."""

    trainer: str = "transformers"
    loss: str = "cross-entropy"  # cross-entropy | chunked | fused
    versions: Mapping[str, str] = field(default_factory=dict)

    def label(self) -> str:
        """The stack in one line, as evidence records name it."""
        versions = " ".join(f"{name} {version}" for name, version in sorted(self.versions.items()))
        return " ".join(part for part in (self.trainer, versions) if part)


@dataclass(frozen=True, slots=True)
class Run:
    """What steps, time and cost follow from; None where nothing is said."""

    examples: int | None = None
    epochs: int | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """One situation, fully decided. Fields mean what the scenario fields of the same name mean.

    `gradients` and `optimizer_states` are dtypes here, never None: the rules of the stack have been applied.
    `optimizer_implementation` is torch's foreach, fused or for-loop.
    """

    model: str
    method: str
    weights: str
    head: str = "causal-lm"
    labels: int = 0
    double_quant: bool = False
    compute: str = "bf16"
    amp: bool = False
    master_weights: str | None = None
    gradients: str = "bf16"
    optimizer: str = "adamw"
    optimizer_implementation: str = "fused"
    optimizer_states: str = "bf16"
    batch_size: int = 1
    sequence_length: int = 512
    generated_length: int = 0
    gradient_accumulation: int = 1
    gradient_checkpointing: str = "false"  # false | reentrant | non-reentrant
    attention: str = "sdpa"
    lora: Lora | None = None
    parallel: Parallel = Parallel()
    gpu: str | None = None
    stack: Stack = Stack()
    engine: Mapping[str, float | int | str | bool] = field(default_factory=dict)
    run: Run = Run()

    @property
    def trains(self) -> bool:
        """Whether gradients are computed."""
        return self.method != "inference"
