"""The largest batch or sequence that a card holds, at the precision of a trace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from toolkit.facts.models import ModelFacts
from toolkit.memory.allocator.card import CardFit, Solved, capacity_of, card_fit, runs_in
from toolkit.memory.ledger import PhaseName
from toolkit.memory.timeline.pattern import NoPatternError
from toolkit.memory.timeline.sizes import NoFormError, Point
from toolkit.memory.timeline.stream import Run
from toolkit.memory.trace.many.layers import Say, grown_run, silent
from toolkit.memory.trace.many.surface import Sizes, Surface
from toolkit.spec.settings.setting import Setting

RANGES = {"batch_size": ((33, 513), (2, 33)), "sequence_length": ((4097, 32769), (129, 4097))}
"""Between which values sizes are learnt, until the answer is no smaller. No length is one that kernels like best."""

MOST = {"batch_size": 1 << 16, "sequence_length": 1 << 20}


def solve(setting: Setting, facts: ModelFacts, field: str, gpu: str, say: Say = silent) -> Solved:
    """The largest value of a field at which a setting runs with the least that a card may give.

    Sizes as functions find it; it and one more are then traced for themselves. Raises UnsupportedTrace.
    """
    setting = replace(setting, gpu=gpu)
    exact = _Exact(setting, facts, field, say)
    most = _most(facts, field)
    guess = _guess(setting, facts, field, most, say)
    how = "by sizes as functions, and proven by traces" if guess is not None else "by traces"
    if not exact.fits(1):
        return Solved(field, gpu, None, exact.fit(1), "by traces")
    low, high = _bracket(exact.fits, guess or 1, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if exact.fits(middle) else (low, middle)
    return Solved(field, gpu, low, exact.fit(high) if high <= most else None, how)


def _bracket(fits: Callable[[int], bool], guess: int, most: int) -> tuple[int, int]:
    """A value that fits and a larger one that does not (or is beyond `most`), near a guess; 1 fits."""
    low, high, step = guess, guess + 1, 1
    while low > 1 and not fits(low):
        low, high, step = max(1, low - step), low, 2 * step
    step = 1
    while high <= most and fits(high):
        low, high, step = high, min(high + step, most + 1), 2 * step
    return low, high


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
    """The largest value that fits by sizes as functions; None where sizes are none, or nothing fits."""
    least = _least(setting)
    sizes = Sizes(setting, facts, say)
    guess = 0
    for first, last in RANGES[field]:
        if first >= most:
            continue
        try:
            low, high = (_point(setting, field, value) for value in (first, min(last, most - 1 + most % 2)))
            guess = _search(sizes.surface(low, high), setting, field, most, least)
        except (NoPatternError, NoFormError) as refusal:
            say(f"sizes are no functions: {refusal}")
        if guess >= first:
            break
    return guess or None


def _search(surface: Surface, setting: Setting, field: str, most: int, least: int) -> int:
    """The largest value that fits, looked for by ever larger steps and then between the last two; 0: none."""
    fits, fails, reach = 0, most + 1, 1
    while fails - fits > 1:
        middle = min(reach, (fits + fails) // 2) if reach else (fits + fails) // 2
        if _runs(surface, _point(setting, field, middle), least):
            fits, reach = middle, 2 * reach
        else:
            fails, reach = middle, 0
    return fits


def _runs(surface: Surface, point: Point, least: int) -> bool:
    """Whether a run fits; one so small that its sizes are no bytes does."""
    try:
        return runs_in(surface.at(point).timeline, least)
    except NoFormError:
        return point < surface.low


def _point(setting: Setting, field: str, value: int) -> Point:
    return (value, setting.sequence_length) if field == "batch_size" else (setting.batch_size, value)


def _least(setting: Setting) -> int:
    """The least that the card gives to tensors, in bytes."""
    capacity = capacity_of(setting.gpu or "")
    assert capacity is not None, "the card is known"
    return capacity[0]


def _most(facts: ModelFacts, field: str) -> int:
    """No sequence is longer than the positions that the model knows."""
    said = facts.config.get("text_config", facts.config)
    positions = said.get("max_position_embeddings", said.get("n_positions")) if isinstance(said, dict) else None
    known = field == "sequence_length" and isinstance(positions, int) and positions > 0
    return min(MOST[field], positions) if known and isinstance(positions, int) else MOST[field]


def _with(setting: Setting, field: str, value: int) -> Setting:
    return replace(setting, batch_size=value) if field == "batch_size" else replace(setting, sequence_length=value)
