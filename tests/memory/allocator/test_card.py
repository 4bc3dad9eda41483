"""Timelines on cards: what fits, what fits once caches are flushed, and what fails where."""

from __future__ import annotations

from toolkit.facts.gpu import Gpu
from toolkit.facts.gpus import find_gpu
from toolkit.memory.allocator.card import DEPENDS, FITS, FITS_NOT, capacity_of, card_fit, runs_in
from toolkit.memory.timeline.timeline import Allocation, Timeline

MIB = 1 << 20


def timeline(*sizes: int, released: int = 0) -> Timeline:
    made = Timeline()
    made.mark("load")
    for number, size in enumerate(sizes):
        index = made.allocate(Allocation(size, f"aten::op{number}", "model.layers.3"))
        if number < released:
            made.release(index)
    return made


def taken(one: Timeline) -> tuple[int, int]:
    reserved = one.replay("load").reserved
    return reserved, reserved


def test_a_card_gives_what_is_usable_less_its_context() -> None:
    card = find_gpu("T4")
    assert isinstance(card, Gpu)
    assert capacity_of("T4") == (card.usable_low - card.context_high, card.usable_high - card.context_low)
    assert capacity_of("no such card") is None


def test_without_a_card_nothing_is_said() -> None:
    assert card_fit(timeline(MIB), (MIB, MIB), None) is None


def test_what_is_less_than_a_card_gives_fits() -> None:
    one = timeline(40 * MIB)
    fit = card_fit(one, taken(one), "T4")
    assert fit is not None
    assert (fit.verdict, fit.retries, fit.text()) == (FITS, 0, "fits on T4")


def test_caches_are_flushed_before_a_run_fails() -> None:
    """Three segments are held one after the other; each fits once those before it have gone."""
    capacity = capacity_of("T4")
    assert capacity is not None
    part = capacity[0] * 6 // 10 // (2 * MIB) * 2 * MIB
    one = timeline(part, part + 2 * MIB, part + 4 * MIB, released=2)
    fit = card_fit(one, taken(one), "T4")
    assert fit is not None
    assert (fit.verdict, fit.retries) == (FITS, 2)
    assert fit.text() == "fits on T4, after 2 flushes of the cache"
    assert runs_in(one, capacity[0])


def test_what_fails_is_named_with_what_it_needs() -> None:
    capacity = capacity_of("T4")
    assert capacity is not None
    part = capacity[1] * 6 // 10 // (2 * MIB) * 2 * MIB
    one = timeline(part, part)
    fit = card_fit(one, taken(one), "T4")
    assert fit is not None
    assert not fit.expandable
    assert (fit.verdict, fit.needed, fit.at) == (FITS_NOT, 2 * part, "aten::op1 (forward) in model.layers.3")
    assert fit.text() == f"does not fit on T4: {2 * part:,} bytes are needed at aten::op1 (forward) in model.layers.3"
    assert not runs_in(one, capacity[1])


def test_what_fails_by_fragments_alone_fits_with_expandable_segments() -> None:
    """A tenth of the card is asked for and given back twelve times, and three fifths of it kept: with segments of
    their own the rest of each is lost, with one that grows the kept parts stand side by side.
    """
    capacity = capacity_of("T4")
    assert capacity is not None
    part = capacity[0] // 10 // (100 * MIB) * 100 * MIB
    one = Timeline()
    one.mark("load")
    for _ in range(12):
        one.release(one.allocate(Allocation(part, "aten::whole", "")))
        one.allocate(Allocation(part * 3 // 5, "aten::part", ""))
    fit = card_fit(one, taken(one), "T4")
    assert fit is not None
    assert fit.expandable
    assert fit.text().endswith("needed at aten::whole (forward); fits with expandable_segments:True")


def test_between_the_least_and_the_most_of_a_card_it_depends() -> None:
    capacity = capacity_of("T4")
    assert capacity is not None
    least, most = capacity
    one = timeline((least + most) // 2)
    fit = card_fit(one, taken(one), "T4")
    assert fit is not None
    assert fit.verdict == DEPENDS
    assert fit.text().startswith("may not fit on T4")
