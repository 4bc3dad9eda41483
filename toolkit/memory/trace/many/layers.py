"""A trace of a whole model from models of a few layers: layers are alike, which further layer counts prove."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace

from toolkit.facts.models import ModelFacts
from toolkit.frozen import frozen
from toolkit.memory.ledger import PhaseName
from toolkit.memory.timeline.one_gpu import fullest_gpu, needs
from toolkit.memory.timeline.pattern import NoPatternError, Pattern, learn
from toolkit.memory.timeline.stream import Run, settled
from toolkit.memory.trace.refusal import UnsupportedTrace
from toolkit.memory.trace.releases import text_config
from toolkit.memory.trace.run import run
from toolkit.memory.trace.several_gpus.dispatched import dispatches
from toolkit.memory.trace.several_gpus.replicated import replicates
from toolkit.memory.trace.several_gpus.scheduled import schedules
from toolkit.spec.settings.setting import Setting

FEWEST = 3
"""The fewest layers of which one is neither the first nor the last."""

LARGEST_PERIOD = 12
ATTEMPTS = 3

Say = Callable[[str], None]


def silent(_: str) -> None:
    """Says nothing."""


@frozen
class Layers:
    """Where a config says how many layers there are; after how many (`head`) their kinds come round, and how often."""

    key: str
    nested: bool
    count: int
    head: int
    period: int


@frozen
class Grown:
    """A pattern that starts with `start` layers; `traced` are the counts that it was learnt from and held against."""

    pattern: Pattern
    start: int
    period: int
    traced: tuple[int, ...]

    def run(self, layers: int) -> Run:
        """The timeline of so many layers. Raises NoPatternError."""
        return self.written(layers)[0]

    def written(self, layers: int) -> tuple[Run, list[int | None]]:
        """The same, and for each allocation the one of `start` layers that it repeats: None where it grows."""
        return self.pattern.written((layers - self.start) // self.period)


def whole_run(setting: Setting, facts: ModelFacts) -> Run:
    """Every layer traced; of GPUs that differ, what the fullest of them sees. Raises UnsupportedTrace."""
    if schedules(setting):
        ranks = (settled(run(setting, facts, rank), PhaseName.LOAD) for rank in range(setting.parallel.gpus))
        return max(ranks, key=needs)
    seen = run(setting, facts)
    return settled(fullest_gpu(seen) if dispatches(setting) else seen, PhaseName.LOAD)


def grown_run(setting: Setting, facts: ModelFacts, say: Say = silent) -> tuple[Run, str]:
    """The run of all layers, from few where that is proven to be the same, and how it was found.

    Raises UnsupportedTrace.
    """
    split = dispatches(setting) or schedules(setting)
    layers = None if split else layers_of(facts)  # which GPU is the fullest hangs on their number
    if layers is not None:
        try:
            grown = grow(setting, facts, layers, say)
            if grown is not None:
                return grown.run(layers.count), f"{layers.count} layers from {', '.join(map(str, grown.traced))}"
        except NoPatternError as refusal:
            say(f"the layers are not alike: {refusal}")
    say("tracing every layer")
    return whole_run(setting, facts), "every layer"


def grow(setting: Setting, facts: ModelFacts, layers: Layers, say: Say = silent, *, passes: int = 1) -> Grown | None:
    """The pattern of a setting's layers; None where tracing all of them, so many times, is no more work.

    Learnt from three layer counts and held against a fourth, event by event. Raises NoPatternError, UnsupportedTrace.
    """
    if replicates(setting):
        raise NoPatternError("buckets of gradients do not begin where layers do")
    runs: dict[int, Run] = {}
    refusal = NoPatternError("too few layers")
    for start, period, proof in _attempts(layers):
        counts = (start, start + period, start + 2 * period, proof)
        if sum(counts) >= passes * layers.count or proof > layers.count:
            continue
        try:
            for count in counts:
                if count not in runs:
                    say(f"tracing {count} of {layers.count} layers")
                    runs[count] = _short_run(setting, facts, layers, count)
            pattern = learn([runs[count] for count in counts[:3]])
            grown = Grown(pattern, start, period, counts)
            if same(grown.run(proof), runs[proof]):
                return grown
            refusal = NoPatternError(f"{proof} layers are not as predicted from {counts[:3]}")
        except NoPatternError as again:
            refusal = again
    if runs:
        raise refusal
    return None


def _short_run(setting: Setting, facts: ModelFacts, layers: Layers, count: int) -> Run:
    """The run of a model of the first layers. Raises NoPatternError where they lack a kind that the setting needs.

    Every fourth layer of Qwen3-Next has the queries that adapters are put on, and the keys by which its cache tells how
    long it is (a ValueError of transformers): three have nothing to adapt.
    """
    try:
        return whole_run(setting, with_layers(facts, layers, count))
    except (UnsupportedTrace, ValueError) as refusal:
        if count >= layers.head + layers.period:
            raise
        raise NoPatternError(f"of {count} layers: {refusal}") from refusal


def _attempts(layers: Layers) -> Iterator[tuple[int, int, int]]:
    """First layer counts, periods, and the counts to prove them by.

    Layers of several kinds may still ask for the same memory; that is proven by a model in which every kind occurs
    between the first and the last layer.
    """
    for start in range(layers.head + FEWEST, layers.head + FEWEST + ATTEMPTS):
        yield start, 1, max(start + 3, layers.head + layers.period + 3)
    if layers.period > 1:
        least = layers.head + layers.period + 1
        start = least + (layers.count - least) % layers.period
        for first in (start, start + layers.period):
            yield first, layers.period, first + 3 * layers.period


def same(one: Run, other: Run) -> bool:
    """Whether two runs are the same, event by event."""
    return (
        one.timeline.allocations == other.timeline.allocations
        and one.timeline.events == other.timeline.events
        and one.timeline.marks == other.timeline.marks
        and one.kinds == other.kinds
    )


def layers_of(facts: ModelFacts) -> Layers | None:
    """What a model's config says of its layers; None where transformers does not take it, which building it tells."""
    from transformers import AutoConfig

    said = copy.deepcopy(dict(facts.config))
    kind = said.pop("model_type", None)
    said.pop("quantization_config", None)
    try:
        whole = AutoConfig.for_model(kind, **said)
        text = text_config(whole)
    except Exception:  # a stranger's config: transformers raises what its checks of each key raise
        return None
    count = getattr(text, "num_hidden_layers", None)
    nested = text is not whole
    if not isinstance(count, int) or (nested and not isinstance(said.get("text_config"), dict)):
        return None
    key = type(text).attribute_map.get("num_hidden_layers", "num_hidden_layers")
    lists = [value for value in vars(text).values() if isinstance(value, list) and len(value) == count]
    kinds = [tuple(map(repr, values)) for values in zip(*lists, strict=True)] or [()] * count
    return Layers(key, nested, count, *_rhythm(kinds))


def with_layers(facts: ModelFacts, layers: Layers, count: int) -> ModelFacts:
    """The facts of the same model with fewer layers."""
    config = copy.deepcopy(dict(facts.config))
    part = config["text_config"] if layers.nested else config
    for key, value in part.items():
        if isinstance(value, list) and len(value) == layers.count:
            part[key] = value[:count]
    part[layers.key] = count
    return replace(facts, config=config)


def _rhythm(kinds: list[tuple[str, ...]]) -> tuple[int, int]:
    """After how many layers the kinds of layers come round, and how often: the two that need the fewest layers."""

    def head(period: int) -> int:
        differing = (place for place in range(len(kinds) - 1, period - 1, -1) if kinds[place] != kinds[place - period])
        return max(0, next(differing, period - 1) + 1 - period)

    periods = range(1, min(LARGEST_PERIOD, len(kinds)) + 1)
    return min(((head(period), period) for period in periods), key=lambda found: (sum(found), found[1]))
