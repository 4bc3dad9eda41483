"""An estimate for several GPUs, GPU by GPU, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.checks.situations.answer import Answer
from toolkit.memory.estimate import Estimate
from toolkit.memory.parallel.placement import Stage
from toolkit.memory.replay.on_card import device_on_card
from toolkit.memory.replay.reserved import reserved_on_card
from toolkit.quantity import Dimension, Interval, display_interval


def gpus_json(answer: Answer) -> dict[str, object]:
    """The number of GPUs and, where they need different amounts, what each holds and needs; {} for one GPU."""
    parallel, count = answer.largest.setting.parallel, _count(answer)
    if count == 1:
        return {}
    said: dict[str, object] = {"count": count, "strategy": parallel.strategy, "phases_of": shown_gpu(answer)}
    if answer.largest.parts:
        said["each"] = [_one(part, runs=answer.may_run(part)) for part in answer.largest.parts]
    return {"gpus": said}


def _one(part: Estimate, *, runs: bool) -> dict[str, object]:
    return {
        "gpu": part.stage.gpu if part.stage else 0,
        "holds": holds(part.stage, part.setting.parallel.chunks) if part.stage else "",
        "allocated": part.allocated,
        "reserved": list(reserved_on_card(part, runs=runs)),
        "device": list(device_on_card(part, runs=runs)),
    }


def shown_gpu(answer: Answer) -> str:
    """Which GPU the ledger is of."""
    stage = answer.largest.stage
    return "each" if stage is None else f"GPU {stage.gpu}"


def heading_of(answer: Answer) -> str:
    """The heading of a ledger; with several GPUs it says which one is shown."""
    count = _count(answer)
    return "GiB" if count == 1 else f"GiB on {shown_gpu(answer)} of {count} GPUs"


def peak_text(answer: Answer) -> str:
    """The words before the figures of the peak; empty for one GPU."""
    parallel, count = answer.largest.setting.parallel, _count(answer)
    if count == 1:
        return ""
    split = f"layers split over {parallel.tensor_parallel}" if parallel.tensor_parallel > 1 else ""
    said = " and ".join(filter(None, ("" if parallel.gpus == 1 else parallel.strategy, split)))
    return f"on {shown_gpu(answer)} of {count} GPUs ({said}), "


def _count(answer: Answer) -> int:
    parallel = answer.largest.setting.parallel
    return parallel.gpus * parallel.tensor_parallel


def gpu_lines(answer: Answer) -> Iterator[tuple[str, str, str]]:
    """A line for each GPU that needs its own amount: what it holds, and its allocated peak."""
    for part in answer.largest.parts:
        if part.stage is not None:
            allocated = display_interval(Interval.point(part.allocated), Dimension.BYTES, "binary")
            yield f"  GPU {part.stage.gpu}", allocated, holds(part.stage, part.setting.parallel.chunks)


def holds(stage: Stage, chunks: int = 1) -> str:
    """The part of the model that one GPU holds, in words; `chunks` of layers do not follow each other."""
    parts = []
    if stage.embeds:
        parts.append("embeddings")
    if chunks > 1:
        parts.append(f"{stage.layers} layers in {chunks} chunks")
    elif stage.layers:
        parts.append(f"layers {stage.first} to {stage.end - 1}" if stage.layers > 1 else f"layer {stage.first}")
    if stage.norms:
        parts.append("the last norm")
    if stage.projects:
        parts.append("the output projection")
    return ", ".join(parts)
