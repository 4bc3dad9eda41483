"""A model card for each model that the scenarios name: what it needs, and wrong claims about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.architecture import architecture_of
from toolkit.pages.marks import ClaimView, one_line
from toolkit.pages.scenario_view import ScenarioView, scenario_view
from toolkit.pages.subject import Subject, answered, file_name
from toolkit.pages.templates import rendered
from toolkit.quantity import display_count


@dataclass(slots=True)
class Card:
    """One model with its scenarios, each with its document."""

    facts: ModelFacts
    parameters: str
    scenarios: list[tuple[Subject, ScenarioView]] = field(default_factory=list)
    wrong: list[tuple[Subject, int, ClaimView]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The model's id."""
        return one_line(self.facts.id)

    @property
    def folder(self) -> str:
        """The folder of the card in the site."""
        return file_name(self.facts.id)


def cards_of(subjects: Sequence[Subject]) -> list[Card]:
    """The cards, by model; a config written out in a scenario names no model and has none."""
    cards: dict[str, Card] = {}
    for subject in subjects:
        models: dict[str, str] = {}
        for situated in answered(subject):
            facts = load_model(situated.scenario.model, base=subject.report.spec.path.parent)
            if not isinstance(facts, ModelFacts):
                continue
            card = cards.setdefault(facts.id, Card(facts, display_count(_parameters(facts))))
            card.scenarios.append((subject, scenario_view(situated)))
            models[situated.scenario.name] = facts.id
        for mark in subject.marks:
            for claim in mark.claims:
                if claim.verdict == "disagrees" and claim.scenario in models:
                    cards[models[claim.scenario]].wrong.append((subject, mark.number, claim))
    return [cards[name] for name in sorted(cards)]


def _parameters(facts: ModelFacts) -> int:
    return facts.verified_params or architecture_of(facts).parameters


def card_page(card: Card) -> str:
    """A model card in the form of the Hub: a YAML header, then Markdown."""
    header: dict[str, object] = {"model_name": card.name}
    if isinstance(card.facts.config.get("model_type"), str):
        header["library_name"] = "transformers"
    if any(view.method != "inference" for _, view in card.scenarios):
        header["base_model"] = card.name
    return rendered("MODEL_CARD.md.j2", header=header, card=card)
