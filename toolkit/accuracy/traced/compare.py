"""The table of traces against published readings: like for like, and with the installed releases."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from toolkit.accuracy.score import Score, Scores
from toolkit.accuracy.statistics import Errors, distinct, errors_of, percentile
from toolkit.accuracy.table import COLUMNS
from toolkit.accuracy.traced.changes import Change, Pair, changes
from toolkit.accuracy.traced.chosen import (
    ALLOCATED,
    RUN_BY_TRACES,
    Chosen,
    LeftOut,
    like_for_like,
    not_in_full,
    sampled,
)
from toolkit.accuracy.traced.lines import TracedLine
from toolkit.frozen import frozen

LIKE, OTHER = "like for like", "installed releases"
BAR_MEDIAN, BAR_P95 = 0.005, 0.02
NOTED = 0.005
"""Errors above this are listed one by one."""

Lines = Mapping[tuple[str, tuple[tuple[str, str], ...]], TracedLine]


@frozen
class Compared:
    """A reading with the traces of its run; `score` has the worst of them as the estimate."""

    score: Score
    lines: tuple[TracedLine, ...]
    like: bool

    @property
    def farther(self) -> Score:
        """The score with the farther end of the traced interval alone."""
        low, high = self.score.estimated
        end = low if abs(low - self.score.read) > abs(high - self.score.read) else high
        return replace(self.score, estimated=(end, end))


@frozen
class Column:
    """The errors of one method, like for like or not, of one source or of all (`source` is empty).

    `far_p95` is by the farther end of each interval.
    """

    kind: str
    metric: str
    method: str
    source: str
    errors: Errors
    within_2: float
    far_p95: float
    releases: tuple[str, ...]
    torch: tuple[str, ...]

    @property
    def within_bars(self) -> bool:
        """Whether both bars hold."""
        return self.errors.median <= BAR_MEDIAN and self.errors.p95 <= BAR_P95


@frozen
class TracedTable:
    """The table of errors of traces."""

    columns: tuple[Column, ...]
    misses: tuple[Compared, ...]
    changes: tuple[Change, ...]
    not_traced: tuple[tuple[str, str, int], ...]
    stacks: tuple[tuple[str, int], ...]
    untried: int


def compared(scores: Scores, lines: Lines) -> tuple[list[Compared], list[tuple[Chosen | LeftOut, str]]]:
    """Every traced reading, and what was not traced, with the reason; an empty one means that no trace is stored."""
    chosen, left_out = like_for_like(scores)
    found: list[Compared] = []
    without: list[tuple[Chosen | LeftOut, str]] = [(one, one.reason) for one in left_out]
    for some in _by_score(chosen):
        made = _made(some, lines, found_like=True)
        if isinstance(made, Compared):
            found.append(made)
        else:
            without.append((some[0], made))
    for one in sampled(scores):
        made = _made([one], lines, found_like=False)
        if isinstance(made, Compared):
            found.append(made)
    return found, without


def traced_table(scores: Scores, lines: Lines) -> TracedTable:
    """The table of scores and stored traces."""
    found, without = compared(scores, lines)
    missed = [one for one in found if one.like and abs(one.score.error) > NOTED]
    return TracedTable(
        columns=tuple(_columns(found)),
        misses=tuple(sorted(missed, key=lambda one: (-abs(one.score.error), one.score.run.run))),
        changes=tuple(changes(_pairs(found))),
        not_traced=tuple(_not_traced(scores, without)),
        stacks=tuple(_stacks(found)),
        untried=sum(not reason for _, reason in without),
    )


def _not_traced(scores: Scores, without: Iterable[tuple[Chosen | LeftOut, str]]) -> Iterator[tuple[str, str, int]]:
    """The sources and reasons of runs that are not traced, with the number of runs."""
    reasons: dict[tuple[str, str], set[str]] = defaultdict(set)
    for one, reason in without:
        if reason:
            reasons[one.score.source, reason].add(one.score.run.run)
    for unscored, reason in not_in_full(scores):
        reasons[unscored.source, reason].add(unscored.run.run)
    for (source, reason), runs in sorted(reasons.items()):
        yield source, reason, len(runs)


def _stacks(found: Iterable[Compared]) -> Iterator[tuple[str, int]]:
    """The stacks that ran, and the number of runs traced with each."""
    stacks: dict[str, set[str]] = defaultdict(set)
    for line in (line for one in found for line in one.lines if line.asked):
        stacks[", ".join(f"{name} {version}" for name, version in sorted(line.asked.items()))].add(line.of)
    for stack, of in sorted(stacks.items()):
        yield stack, len(of)


def _by_score(chosen: Iterable[Chosen]) -> list[list[Chosen]]:
    grouped: dict[int, list[Chosen]] = defaultdict(list)
    for one in chosen:
        grouped[id(one.score)].append(one)
    return list(grouped.values())


def _made(some: Sequence[Chosen], lines: Lines, *, found_like: bool) -> Compared | str:
    """The comparison of a reading with the traces of all settings that its record admits, or why there is none."""
    kept = [lines.get(one.key) for one in some]
    known = [line for line in kept if line is not None]
    refused = [line.reason for line in known if line.reason]
    if refused or len(known) < len(kept):
        return refused[0] if refused else ""
    if not all(_as_asked(line) for line in known):
        return "other releases ran than were asked for"
    score = some[0].score
    each = [replace(score, estimated=_ends(score, line)) for line in known]
    return Compared(max(each, key=lambda one: abs(one.error)), tuple(known), found_like)


def _as_asked(line: TracedLine) -> bool:
    """Whether the requested releases ran."""
    return all(line.libraries.get(name) == version for name, version in line.asked.items())


def _ends(score: Score, line: TracedLine) -> tuple[int, int]:
    return {ALLOCATED: line.blocks, "reserved": line.reserved, "device": line.device}[score.reading.metric]


def _columns(found: Sequence[Compared]) -> Iterator[Column]:
    grouped: dict[tuple[str, str, str], list[Compared]] = defaultdict(list)
    for one in found:
        kind = LIKE if one.like else OTHER
        grouped[kind, one.score.reading.metric, one.score.run.scenario.method].append(one)

    def order(key: tuple[str, str, str]) -> tuple[Any, ...]:
        return key[0] != LIKE, key[1] != ALLOCATED, key[1], COLUMNS.index(key[2]) if key[2] in COLUMNS else 9, key[2]

    for key in sorted(grouped, key=order):
        yield _column(key, "", grouped[key])
        sources = sorted({one.score.source for one in grouped[key]})
        for source in sources if key[0] == LIKE and len(sources) > 1 else ():
            yield _column(key, source, [one for one in grouped[key] if one.score.source == source])


def _column(key: tuple[str, str, str], source: str, some: Sequence[Compared]) -> Column:
    runs = distinct(one.score for one in some)
    farther = sorted(run.absolute for run in distinct(one.farther for one in some))
    return Column(
        *key,
        source,
        errors=errors_of([one.score for one in some]),
        within_2=sum(run.absolute <= BAR_P95 for run in runs) / len(runs),
        far_p95=percentile(farther, 0.95),
        releases=_ran(some, RUN_BY_TRACES[:1]),
        torch=_ran(some, ("torch",)),
    )


def _ran(some: Iterable[Compared], packages: Iterable[str]) -> tuple[str, ...]:
    versions = {line.libraries[name] for one in some for line in one.lines for name in packages}
    return tuple(sorted(versions, key=lambda text: [int(part) for part in text.split(".") if part.isdigit()]))


def _pairs(found: Iterable[Compared]) -> dict[tuple[str, str], list[Pair]]:
    """The runs with traces of both kinds, by method and stated release of transformers."""
    stated = {one.score.reading.id: one for one in found if one.like}
    pairs: dict[tuple[str, str], list[Pair]] = defaultdict(list)
    for one in found:
        old = stated.get(one.score.reading.id)
        if not one.like and old is not None:
            release = old.lines[0].asked["transformers"]
            pairs[one.score.run.scenario.method, release].append((old.lines[0], one.lines[0]))
    return pairs
