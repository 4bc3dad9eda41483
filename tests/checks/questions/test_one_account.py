"""What is shown of a run on a card is of one account: what the allocator keeps there, and the context beside it."""

import json

import pytest

from tests.checks.questions.asked import BASE, answered, card, decided, scenario
from tests.cli.command import run
from toolkit.checks.questions.comparison import compare
from toolkit.checks.questions.largest import Found, largest
from toolkit.checks.situations.answer import Answer
from toolkit.finding import Place
from toolkit.memory.allocator.caching import Block, CachingAllocator
from toolkit.memory.allocator.card import capacity_of
from toolkit.memory.replay.generation import generation_events
from toolkit.memory.tape.recording import programs_of
from toolkit.report.comparison import comparisons_json, comparisons_text
from toolkit.report.estimate import WITH_ROOM, estimate_json, estimate_text
from toolkit.report.largest import largest_text
from toolkit.spec.fields.value import Field, Fixed
from toolkit.spec.scenario import Scenario


def grown(weights: str, gpu: str | None = None, **fields: str) -> Scenario:
    """A cache that grows by new tensors in every step: without end it leaves much more free than it holds."""
    said = {"batch_size": "1", "sequence_length": "512", **fields} | ({"gpu": gpu} if gpu is not None else {})
    return scenario(model="meta-llama/Llama-3.1-8B", method="inference", weights=weights, **said)


CASES = [("bf16", "RTX 4090", "20102"), ("bf16", "RTX 4090", "74460"), ("awq-int4", "RTX 3060", "54586")]


def consistent(found: Answer) -> None:
    """The device shows what is reserved and at least a context; and no more than the card has where it fits."""
    fit = found.fits()[0]
    for end in (0, 1):
        assert found.device[end] >= found.reserved[end]
    assert found.reserved[0] >= found.allocated[0]
    if fit.verdict == "yes":
        assert found.device[1] <= fit.usable[1]
    elif fit.verdict == "maybe":
        assert found.device[0] * (1 - found.error) <= fit.usable[1]
        assert found.device[1] <= max(fit.usable[1], found.allocated[1] + found.context[1])


@pytest.mark.parametrize(("weights", "gpu", "length"), CASES)
def test_a_growing_cache_on_a_card(weights: str, gpu: str, length: str) -> None:
    found = answered(grown(weights, gpu, generated_length=length))
    assert found.fits()[0].verdict in ("yes", "maybe")
    consistent(found)


def test_what_is_shown_is_what_the_allocator_holds_on_the_card() -> None:
    """The allocator itself, with the least and the most that the card gives, runs to the end by flushing its cache."""
    found = answered(grown("bf16", "RTX 4090", generated_length="20102"))
    capacity, context = capacity_of("RTX 4090"), found.largest.context
    assert capacity is not None
    assert context is not None
    events = generation_events(context, programs_of(context))
    for room in capacity:
        allocator, blocks = CachingAllocator(room), dict[int, Block]()
        for event in events.order:
            if event < 0:
                allocator.free(blocks.pop(-event))
            else:
                blocks[event] = allocator.allocate(events.sizes[event])
        assert allocator.retries
        assert found.reserved[0] <= allocator.peak_reserved <= found.reserved[1]


@pytest.mark.parametrize("gpu", ["RTX 4090", "RTX 3060", "H100", "24 GB"])
def test_a_card_of_training_that_is_nearly_full(gpu: str) -> None:
    for batch in ("1", "4", "16"):
        consistent(answered(decided(model="Qwen/Qwen2.5-1.5B", batch_size=batch, gpu=gpu)))


@pytest.mark.parametrize(("weights", "gpu"), [("bf16", "RTX 4090"), ("awq-int4", "RTX 3060")])
def test_what_solves_shows_what_an_estimate_of_it_shows(weights: str, gpu: str) -> None:
    """Both values were found on a card, and an estimate of either names that card, too."""
    solution = largest(grown(weights), BASE, "generated_length", [card(gpu)])
    assert solution is not None
    on_card = solution.cards[0]
    text = largest_text(solution)
    for found in (on_card.surely, on_card.perhaps):
        assert isinstance(found, Found)
        alone = answered(grown(weights, gpu, generated_length=str(found.value)))
        assert (found.answer.reserved, found.answer.device) == (alone.reserved, alone.device)
        assert alone.fits()[0].verdict == ("yes" if found is on_card.surely else "maybe")
        consistent(found.answer)
    assert on_card.surely is not None
    assert f"{on_card.surely.value:,} surely fits" in text


def test_without_a_card_what_is_reserved_has_room_and_it_is_said_where_smaller_ones_fit() -> None:
    """40 GiB are reserved where there is room, and a card of 24 GiB fits, for 17.5 GiB are alive."""
    anywhere, there = answered(grown("bf16", generated_length="20102")), answered(grown("bf16", generated_length="8"))
    fits = {fit.gpu: fit for fit in anywhere.fits()}["GeForce RTX 4090"]
    assert fits.verdict == "yes"
    assert fits.usable[1] < anywhere.device[0]
    assert WITH_ROOM in estimate_text(anywhere)
    assert WITH_ROOM in json.loads(estimate_json(anywhere))["notes"]
    assert WITH_ROOM not in estimate_text(there)


def test_a_comparison_shows_the_same_account() -> None:
    before = answered(grown("bf16", "RTX 4090", generated_length="20102"))
    longer = before.scenario.with_fields({"generated_length": Field(Fixed(74_460), Place(""))})
    one = compare(before, longer, "generated_length=74460", BASE)
    assert one is not None
    said = json.loads(comparisons_json(before, [one]))["comparisons"][0]
    assert said["peak"]["device"] == {"before": list(before.device), "after": list(answered(longer).device)}
    consistent(one.before)
    consistent(one.after)
    anywhere = answered(grown("bf16", generated_length="20102"))
    doubled = compare(anywhere, anywhere.scenario, "batch_size=1", BASE)
    assert doubled is not None
    assert WITH_ROOM in comparisons_text(anywhere, [doubled])
    assert json.loads(comparisons_json(anywhere, [doubled]))["comparisons"][0]["notes"] == [WITH_ROOM]


def test_the_command_shows_no_more_than_the_card_has(capsys: pytest.CaptureFixture[str]) -> None:
    ran = run(
        capsys, "estimate", "--model", "meta-llama/Llama-3.1-8B", "--method", "inference", "--weights", "bf16",
        "--batch-size", "1", "--sequence-length", "512", "--gpu", "RTX 4090", "--solve", "generated_length",
        "--format", "json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    shown = json.loads(ran.out)["solve"]["gpus"][0]
    peak = shown["surely"]["peak"]
    assert all(device >= reserved for device, reserved in zip(peak["device"], peak["reserved"], strict=True))
    assert peak["device"][1] <= shown["usable"][1] < 24 << 30


@pytest.mark.parametrize(("length", "verdict"), [("3144", "maybe"), ("5360", "no")])
def test_a_card_that_the_scenario_does_not_name_has_its_own_workspaces(length: str, verdict: str) -> None:
    """On Hopper each of the two workspaces of training takes 24 MiB more than on the card that is not named."""
    one = {"model": "Qwen/Qwen2.5-1.5B", "batch_size": "4", "sequence_length": length}
    assert answered(decided(**one)).fit(card("H100"), replays=True).verdict == verdict
    assert answered(decided(**one, gpu="H100")).fits()[0].verdict == verdict
