"""The largest batch or sequence that a card holds, at the precision of a trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from toolkit.facts.models import ModelFacts
from toolkit.memory.card import CardFit, Solved, capacity_of, card_fit, runs_in
from toolkit.memory.ledger import PhaseName
from toolkit.memory.pattern import NoPatternError, learn
from toolkit.memory.sizes import SizedRun, sized
from toolkit.memory.stream import Run
from toolkit.memory.trace.layers import Grown, Layers, Say, grow, grown_run, layers_of, silent, whole_run, with_layers
from toolkit.spec.setting import Setting

POINTS = {"batch_size": (32, 48, 512), "sequence_length": (6144, 8192, 12288, 32768)}
"""Where sizes are learnt, and last where they are proven: beyond the sizes up to which kernels take other ways."""

STEP = {"batch_size": 1, "sequence_length": 128}
"""Kernels pad lengths to 128."""

MOST = {"batch_size": 1 << 16, "sequence_length": 1 << 20}


def solve(setting: Setting, facts: ModelFacts, field: str, gpu: str, say: Say = silent) -> Solved:
    """The largest value of a field at which a setting runs with the least that a card may give.

    Sizes as polynomials find it; it and one more are then traced for themselves. Raises UnsupportedTrace.
    """
    setting = replace(setting, gpu=gpu)
    exact = _Exact(setting, facts, field, say)
    most = _most(facts, field)
    guess = _guess(setting, facts, field, most, say)
    how = "by polynomials, and proven by traces" if guess is not None else "by traces"
    if not exact.fits(1):
        return Solved(field, gpu, None, exact.fit(1), "by traces")
    low, high = _bracket(exact.fits, guess, STEP[field], most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if exact.fits(middle) else (low, middle)
    return Solved(field, gpu, low, exact.fit(high) if high <= most else None, how)


def _bracket(fits: Callable[[int], bool], guess: int | None, step: int, most: int) -> tuple[int, int]:
    """A value that fits and a larger one that does not (or is beyond `most`), near a guess."""
    low = 1
    if guess is not None and guess > 1 and fits(guess):
        low = guess
        if guess + step <= most and not fits(guess + step):
            return guess, guess + step
    high = low
    while True:
        high = min(2 * high, most + 1)
        if high > most or not fits(high):
            return low, high
        low = high


class _Exact:
    """Whether values fit, each by a trace of its own, made once."""

    def __init__(self, setting: Setting, facts: ModelFacts, field: str, say: Say) -> None:
        self._setting, self._facts, self._field, self._say = setting, facts, field, say
        self._known: dict[int, tuple[Run, bool]] = {}

    def fits(self, value: int) -> bool:
        """Whether the setting runs with that value, whatever the card gives and however the model was loaded."""
        if value not in self._known:
            self._say(f"tracing {self._field} {value:,}")
            run, _ = grown_run(_with(self._setting, self._field, value), self._facts)
            self._known[value] = run, runs_in(run.timeline, _least(self._setting))
        return self._known[value][1]

    def fit(self, value: int) -> CardFit:
        """Why it does not run with a value that was tried."""
        timeline = self._known[value][0].timeline
        taken = timeline.replay(PhaseName.LOAD).reserved
        fit = card_fit(timeline, (taken, taken), self._setting.gpu)
        assert fit is not None, "the card is known"
        return fit


def _guess(setting: Setting, facts: ModelFacts, field: str, most: int, say: Say) -> int | None:
    """The largest value that fits by polynomials, in steps; None where sizes are none, or nothing fits."""
    least = _least(setting)
    try:
        family = _family(setting, facts, field, say)
        step = STEP[field]
        fits = 0
        fails = most // step + 1
        reach = 1
        while fails - fits > 1:
            middle = min(reach, (fits + fails) // 2) if reach else (fits + fails) // 2
            say(f"{field} {middle * step:,} by polynomials")
            if runs_in(family(middle * step).timeline, least):
                fits, reach = middle, 2 * reach
            else:
                fails, reach = middle, 0
    except NoPatternError as refusal:
        say(f"sizes are no polynomials: {refusal}")
        return None
    return fits * step or None


def _least(setting: Setting) -> int:
    """The least that the card gives to tensors, in bytes."""
    capacity = capacity_of(setting.gpu or "")
    assert capacity is not None, "the card is known"
    return capacity[0]


def _family(setting: Setting, facts: ModelFacts, field: str, say: Say) -> Callable[[int], Run]:
    """The whole run at any value, from runs of few layers at few values. Raises NoPatternError, UnsupportedTrace."""
    *points, proof = POINTS[field]
    first = _with(setting, field, points[0])
    layers = layers_of(facts)
    grown = None if layers is None else grow(first, facts, layers, say)

    def at_points(facts: ModelFacts) -> SizedRun:
        return sized({value: whole_run(_with(setting, field, value), facts) for value in (*points, proof)}, proof)

    if layers is None or grown is None:
        say("tracing every layer at a few sizes")
        return at_points(facts).at
    say(f"tracing few layers at {', '.join(f'{value:,}' for value in (*points, proof))}")
    small = [at_points(with_layers(facts, layers, count)) for count in grown.traced[:3]]
    return lambda value: _grown(small, grown, layers, value)


def _grown(small: Sequence[SizedRun], grown: Grown, layers: Layers, value: int) -> Run:
    return replace(grown, pattern=learn([one.at(value) for one in small])).run(layers.count)


def _most(facts: ModelFacts, field: str) -> int:
    """No sequence is longer than the positions that the model knows."""
    said = facts.config.get("text_config", facts.config)
    positions = said.get("max_position_embeddings", said.get("n_positions")) if isinstance(said, dict) else None
    known = field == "sequence_length" and isinstance(positions, int) and positions > 0
    return min(MOST[field], positions) if known and isinstance(positions, int) else MOST[field]


def _with(setting: Setting, field: str, value: int) -> Setting:
    return replace(setting, batch_size=value) if field == "batch_size" else replace(setting, sequence_length=value)
