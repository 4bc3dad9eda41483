"""The largest value of a field that fits on cards, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from toolkit.checks.questions.largest import Found, Largest, Solution
from toolkit.checks.situations.answer import Answer, Bytes
from toolkit.quantity import display_bytes
from toolkit.report.estimate import bytes_text, left_out_of, open_of, title_of
from toolkit.report.json import as_json
from toolkit.report.scenario import grouped, plain, read_json
from toolkit.report.terminal import INDENT, Paint, line, table
from toolkit.spec.training_configs.training_config import TrainingConfig

NAMED_CARDS = 4
"""The most cards that a line names; the others are counted."""


def largest_json(solution: Solution, read: TrainingConfig | None = None) -> str:
    """The answer as JSON: up to `surely` every value fits, above `perhaps` none does."""
    first = solution.cards[0].at_one
    return as_json(
        {
            "scenario": grouped({name: said.value for name, said in solution.scenario.fields.items()}),
            "profile": first.profile,
            "open": {name: plain(options) for name, options in first.open.items()},
            **read_json(read),
            "solve": {
                "field": solution.field,
                "limit": {"value": solution.limit.value, "reason": solution.limit.reason},
                "gpus": [_card_json(solution, card) for card in solution.cards],
            },
        }
    )


def _card_json(solution: Solution, card: Largest) -> Mapping[str, object]:
    return {
        "gpu": card.gpu,
        "usable": list(card.usable),
        "surely": None if card.surely is None else _found_json(card.surely),
        "perhaps": None if card.perhaps is None else _found_json(card.perhaps),
        "said": verdict_of(solution, card),
    }


def _found_json(found: Found) -> Mapping[str, object]:
    answer = found.answer
    growth = found.growth
    return {
        "value": found.value,
        "peak": {
            "phase": answer.largest.ledger.peak.name.value,
            "allocated": list(answer.allocated),
            "reserved": list(answer.reserved),
            "device": list(answer.device),
            "error": float(answer.error),
        },
        "largest_row": {"row": found.largest_row.name, "bytes": found.largest_row.bytes},
        "one_more": None if growth is None else {"bytes": growth[0], "row": growth[1]},
    }


def largest_text(solution: Solution, paint: Paint | None = None) -> str:
    """The answer as text: one card in sentences, several in a table."""
    colours = paint or Paint()
    first = solution.cards[0].at_one
    lines = [colours.bold(line(f"largest {solution.field} of {title_of(solution.scenario)}"))]
    lines += [f"{INDENT}{line(text)}" for text in (*open_of(first), *left_out_of(first))]
    lines.append("")
    if len(solution.cards) == 1:
        lines += map(line, _one_card(solution, solution.cards[0]))
    else:
        lines += _many_cards(solution, colours)
    return "\n".join(lines) + "\n"


def verdict_of(solution: Solution, card: Largest) -> str:
    """The largest values that fit on a card, as a sentence."""
    name, limit = solution.field, solution.limit
    if limit.value < 1:
        return f"there is no {name} to ask for: {limit.reason}"
    if card.surely is not None and card.surely.value == limit.value:
        return f"every {name} up to {limit.value:,} fits; {limit.reason}"
    if card.surely is not None:
        return f"{name} {card.surely.value:,} surely fits"
    if card.perhaps is None:
        return f"no {name} fits, not even 1"
    return f"no {name} surely fits"


def _one_card(solution: Solution, card: Largest) -> Iterator[str]:
    yield f"{card.gpu} ({bytes_text(card.usable, 'binary')} usable): {verdict_of(solution, card)}"
    for word, found in (("surely", card.surely), ("perhaps", card.perhaps)):
        if found is not None and (word == "surely" or found != card.surely):
            yield f"{INDENT}{_described(word, found, solution, card.usable)}"
    if card.surely is None and (card.perhaps is None or card.perhaps.value > 1):
        needs, row = card.at_one.device, _largest_row(card)
        yield f"{INDENT}at 1 it needs {bytes_text(needs, 'binary')} on the device; largest row: {row}"
    nearest = card.surely or card.perhaps
    growth = nearest.growth if nearest and nearest.value < solution.limit.value else None
    if growth and growth[0]:
        yield f"{INDENT}one more takes {display_bytes(growth[0], 'binary')} at the peak, {growth[1]} most of it"


def _largest_row(card: Largest) -> str:
    row = max(card.at_one.largest.ledger.peak.rows, key=lambda one: one.bytes)
    return f"{row.name} {display_bytes(row.bytes, 'binary')}"


def _described(word: str, found: Found, solution: Solution, usable: Bytes) -> str:
    fits, rest = {
        "surely": ("surely fits", "as does all below it"),
        "perhaps": ("may fit", "and nothing above it"),
    }[word]
    if found.value == solution.limit.value:
        rest = f"and {solution.limit.reason}"
    phase = found.answer.largest.ledger.peak.name.replace("_", " ")
    row = f"{found.largest_row.name} {display_bytes(found.largest_row.bytes, 'binary')}"
    device = bytes_text(found.answer.device, "binary") + _above(found.answer, usable)
    return f"{found.value:,} {fits}, {rest}: device {device}, peak at {phase}; largest row: {row}"


def _above(answer: Answer, usable: Bytes) -> str:
    """Why a run may fit that needs more than the card has in every case: estimates may be that much too high."""
    least, most = answer.device
    if least <= usable[1]:
        return ""
    opened = " by what is open" if most > least and answer.open else ""
    above, error = 100 * (1 - usable[1] / least), 100 * float(answer.error)
    return f"{opened}, the least of which fits if it is {above:.3g} % too high (known to ±{error:.3g} %)"


def _many_cards(solution: Solution, paint: Paint) -> list[str]:
    """One line for all cards with the same answer, those with the least memory first."""
    alike: dict[tuple[object, ...], list[Largest]] = {}
    for card in sorted(solution.cards, key=lambda one: (one.usable, one.gpu)):
        key = (card.usable, card.surely and card.surely.value, card.perhaps and card.perhaps.value)
        if card.perhaps is not None:
            alike.setdefault(key, []).append(card)
    hold = sum(map(len, alike.values()))
    if not hold:
        return [paint.red(line(f"no {solution.field} fits on any of {len(solution.cards)} GPUs, not even 1"))]
    rows: list[tuple[str, ...]] = [("usable", "surely", "may", "device where it surely fits", "largest row", "GPU")]
    rows += [_row(solution, cards) for cards in alike.values()]
    lines = [line(text) for text in table(rows, frozenset({1, 2}))]
    if any("*" in row[1] + row[2] for row in rows[1:]):
        lines.append(line(f"* the limit: {solution.limit.reason}"))
    if not solution.replayed:
        lines.append(line("surely: by bounds; for few settings on few cards (--gpu) what is reserved is replayed"))
    if hold < len(solution.cards):
        lines.append(line(f"no {solution.field} fits on {len(solution.cards) - hold} of {len(solution.cards)} GPUs"))
    return [paint.bold(lines[0]), *lines[1:]]


def _row(solution: Solution, cards: list[Largest]) -> tuple[str, ...]:
    first = cards[0]
    named = ", ".join(card.gpu for card in cards[:NAMED_CARDS])
    more = f" and {len(cards) - NAMED_CARDS} more" if len(cards) > NAMED_CARDS else ""
    device = row = "·"
    if first.surely is not None:
        device, row = bytes_text(first.surely.answer.device, "binary"), first.surely.largest_row.name
    marks = (_marked(solution, found) for found in (first.surely, first.perhaps))
    return (bytes_text(first.usable, "binary"), *marks, device, row, named + more)


def _marked(solution: Solution, found: Found | None) -> str:
    if found is None:
        return "none"
    return f"{found.value:,}{'*' if found.value == solution.limit.value else ''}"
