"""Show where a scenario's memory goes, phase by phase, its peak, and which GPUs it fits.

A field that neither the file nor a flag says is open: it takes what a reader would assume, and the peak is an
interval. Lists are written 1,2,4 or [1, 2, 4], ranges 1..8.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from toolkit.checks.answer import Answer, answer
from toolkit.checks.situation import REFUSALS
from toolkit.checks.space import TooManySettingsError
from toolkit.cli.main import COULD_NOT
from toolkit.cli.output import add_color, emit, hint, paint_for
from toolkit.report.estimate import estimate_json, estimate_text
from toolkit.report.terminal import line
from toolkit.spec.fields import FIELDS
from toolkit.spec.kind import Integer
from toolkit.spec.load import load_scenario, scenario_from_flags
from toolkit.spec.scenario import Scenario

_RANGE = re.compile(r"(-?[0-9]+)\.\.(-?[0-9]+)")
_LIST_FIELD = "lora.targets"
"""The one field whose value is itself a list: a,b is one value of it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `toolkit estimate`: a flag for every field of a scenario."""
    parser.add_argument("scenario", nargs="?", type=Path, metavar="SCENARIO.yaml", help="a file with one scenario")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="(default: text)")
    add_color(parser)
    fields = parser.add_argument_group("fields of the scenario, instead of a file")
    for name, field in FIELDS.items():
        example = f" (such as {field.examples[0]})" if field.examples else ""
        fields.add_argument(flag_of(name), dest=name, metavar="VALUE", help=f"{field.doc}{example}".replace("%", "%%"))


def flag_of(field: str) -> str:
    """The flag of a field: "lora.rank" is --lora-rank."""
    return "--" + field.replace(".", "-").replace("_", "-")


def run(arguments: argparse.Namespace) -> int:
    """Estimates, prints, and says what could not be done."""
    said = {name: text for name in FIELDS if (text := getattr(arguments, name)) is not None}
    if arguments.scenario is not None and said:
        hint(f"a file and flags ({', '.join(map(flag_of, said))}) are two scenarios; give one of them")
        return COULD_NOT
    if arguments.scenario is None and not said:
        hint("no scenario: name a file, or give --model and --method")
        return COULD_NOT
    scenario, base = _scenario(arguments.scenario, said)
    found = _answer(scenario, base) if scenario else None
    if found is None:
        return COULD_NOT
    emit(estimate_json(found) if arguments.format == "json" else estimate_text(found, paint_for(arguments.color)))
    return 0


def _scenario(file: Path | None, said: dict[str, str]) -> tuple[Scenario | None, Path]:
    base = file.parent if file else Path()
    if file is not None:
        root = Path() if file.resolve().is_relative_to(Path.cwd()) else file.resolve().parent
        scenario, findings = load_scenario(file, root)
    else:
        scenario, findings = scenario_from_flags({name: _written(name, text) for name, text in said.items()}, base)
    for finding in findings:
        repair = f" ({finding.repair})" if finding.repair else ""
        hint(line(f"{finding}{repair}"))
    return scenario, base


def _written(name: str, text: str) -> str:
    """A flag's text as YAML has it: 1..8 is a range, 1,2,4 a list."""
    text = text.strip()
    field_range = _RANGE.fullmatch(text)
    if field_range and isinstance(FIELDS[name].kind, Integer):
        return f"{{from: {field_range[1]}, to: {field_range[2]}}}"
    if "," in text and text[:1] not in ("[", "{"):
        return f"[{text}]"
    if name == _LIST_FIELD and text[:1] not in ("[", "{") and text != "all-linear":
        return f"[{text}]"
    return text


def _answer(scenario: Scenario, base: Path) -> Answer | None:
    try:
        found = answer(scenario, base)
    except REFUSALS as refusal:
        hint(f"this cannot be computed: {refusal}")
        return None
    except TooManySettingsError as error:
        hint(f"{error}; say more of the scenario")
        return None
    if found is None:
        hint(f"no model is known as {scenario.model}")
    return found
