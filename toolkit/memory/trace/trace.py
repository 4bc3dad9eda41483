"""A trace: the exact peak of a setting from the real training code, without weights and without a GPU."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version

from toolkit.facts.models import ModelFacts
from toolkit.frozen import frozen
from toolkit.memory.allocator.caching import CachingAllocator
from toolkit.memory.allocator.card import CardFit, card_fit
from toolkit.memory.allocator.expandable import ExpandableAllocator
from toolkit.memory.device import Interval, device_interval
from toolkit.memory.ledger import Ledger, PhaseName
from toolkit.memory.timeline.stream import Run
from toolkit.memory.timeline.timeline import Timeline
from toolkit.memory.trace.batches.lengthen import steps_run
from toolkit.memory.trace.batches.routing import EVENLY, spreads
from toolkit.memory.trace.caches import is_packed
from toolkit.memory.trace.ledger import ledger_of
from toolkit.memory.trace.many.layers import Say, grown_run, silent, whole_run
from toolkit.memory.trace.refusal import UnsupportedTrace
from toolkit.memory.trace.releases import loads_warm
from toolkit.memory.trace.several_gpus.dispatched import dispatches
from toolkit.memory.trace.several_gpus.scheduled import schedules
from toolkit.spec.settings.setting import Setting

__all__ = ["Trace", "UnsupportedTrace", "libraries", "trace"]

LIBRARIES = ("torch", "transformers", "accelerate", "peft", "bitsandbytes")
"""What may take part in every run; of what is installed the versions are kept."""
_LINEAR = "linear_num_value_heads"
DELTA_RULE = "linear attention by torch's operations, as without flash-linear-attention"


@frozen
class Trace:
    """What a setting needs on one GPU, as its code was seen to ask for it. Bytes; intervals as in an Estimate.

    `blocks` is what torch.cuda.max_memory_allocated would say: the allocator counts whole blocks, and up to 1 MiB of a
    block may be more than was asked for. `expandable` is what is reserved with expandable_segments:True; `how` says
    which layers were traced.
    """

    setting: Setting
    ledger: Ledger
    blocks: Interval
    reserved: Interval
    expandable: int
    device: Interval
    card: CardFit | None
    libraries: Mapping[str, str]
    how: str
    timeline: Timeline

    @property
    def allocated(self) -> int:
        """The peak of live tensors, each rounded up to 512 bytes: the total of the ledger's rows."""
        return self.ledger.peak.total


def trace(setting: Setting, facts: ModelFacts, *, whole: bool = False, say: Say = silent) -> Trace:
    """Runs a setting on tensors without storage; raises UnsupportedTrace for what is not covered.

    Of alike layers a few are traced, and the others written out from them where that is proven to be the same;
    `whole`: every layer is traced.
    """
    try:
        seen, how = (whole_run(setting, facts), "every layer") if whole else grown_run(setting, facts, say)
    except RuntimeError as error:
        if (positions := _positions(facts)) is None or setting.sequence_length <= positions:
            raise
        said = f"the model's code fails: {setting.sequence_length:,} tokens for {positions:,} positions"
        raise UnsupportedTrace(said) from error
    say("replaying")
    return accounted(setting, seen, f"{how}, {DELTA_RULE}" if _is_recurrent(facts) else how)


def _positions(facts: ModelFacts) -> int | None:
    """The positions that a config states; code that slices a table of them fails past its end."""
    said = facts.config.get("max_position_embeddings", facts.config.get("n_positions"))
    return said if isinstance(said, int) else None


def _is_recurrent(facts: ModelFacts) -> bool:
    inside = facts.config.get("text_config")
    return _LINEAR in facts.config or (isinstance(inside, dict) and _LINEAR in inside)


def accounted(setting: Setting, seen: Run, how: str) -> Trace:
    """The account of a setting's run; `how` says which part of it was traced."""
    ledger = ledger_of(seen.timeline, seen.kinds)
    kind = ExpandableAllocator if setting.expandable_segments else CachingAllocator
    replays = [seen.timeline.replay(PhaseName.LOAD, kind(), warm=warm) for warm in loads_warm(setting.loading)]
    blocks = min(one.allocated for one in replays), max(one.allocated for one in replays)
    reserved = min(one.reserved for one in replays), max(one.reserved for one in replays)
    return Trace(
        setting=setting,
        ledger=ledger,
        blocks=blocks,
        reserved=reserved,
        expandable=seen.timeline.replay(PhaseName.LOAD, ExpandableAllocator()).reserved,
        device=device_interval(reserved, setting.gpu),
        card=card_fit(seen.timeline, reserved, setting.gpu, kind),
        libraries=libraries(setting),
        how=", ".join((how, *_left_out(setting, seen.timeline))),
        timeline=seen.timeline,
    )


def _left_out(setting: Setting, timeline: Timeline) -> Iterator[str]:
    """What was not run or shown, and what was taken for granted."""
    if dispatches(setting) or schedules(setting):
        yield f"on GPU {timeline.allocations[0].gpu} of {setting.parallel.gpus}, which needs most"
    steps = setting.generated_length - 1
    if not setting.trains and not is_packed(setting) and (run := steps_run(steps)) < steps:
        yield f"{steps:,} steps from {run}"
    if spreads(timeline.allocations):
        yield EVENLY


def libraries(setting: Setting) -> dict[str, str]:
    """The versions that a setting is run with; build tags such as +cpu left out. TRL's is one of its trainer alone."""
    found = {}
    for name in (*LIBRARIES, *(("trl",) if setting.trains and setting.stack.trainer == "trl" else ())):
        try:
            found[name] = version(name).partition("+")[0]
        except PackageNotFoundError:
            continue
    return found
