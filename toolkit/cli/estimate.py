"""Show where a scenario's memory goes, phase by phase, its peak, and which GPUs it fits.

A field that neither the file nor a flag states is open: it takes the values that a reader would assume, and the peak is
an interval. Lists are written 1,2,4 or [1, 2, 4], ranges 1..8. A flag beside a file overrides a field of it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from toolkit.checks.questions.limit import OTHER_NAMES, SOLVABLE
from toolkit.checks.refusals import REFUSALS
from toolkit.checks.situations.answer import answer
from toolkit.checks.situations.space import TooManySettingsError
from toolkit.cli.estimate_notes import notes_of, unsaid_gpus
from toolkit.cli.estimate_questions import advised, compared, solved
from toolkit.cli.estimate_scenario import Asked, asked
from toolkit.cli.field_flags import OTHER_FLAGS, flag_of, written
from toolkit.cli.main import COULD_NOT
from toolkit.cli.output import add_color, emit, hint, paint_for
from toolkit.facts.names import nearest
from toolkit.memory.architecture import MalformedConfig
from toolkit.report.estimate import estimate_json, estimate_text
from toolkit.report.scenario import scenario_json, scenario_yaml
from toolkit.spec.fields.registry import FIELDS
from toolkit.spec.scenario import Scenario
from toolkit.spec.settings.decide import decide
from toolkit.spec.settings.results import unsaid_results
from toolkit.spec.training_configs import TOOLS

__all__ = ["OTHER_FLAGS", "add_arguments", "run"]

AUTO = "auto"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `toolkit estimate`: a flag for every field of a scenario."""
    parser.usage = "toolkit estimate [--FIELD VALUE]... [--solve FIELD | --compare FIELD=VALUE | --advise] [FILE]"
    parser.add_argument("scenario", nargs="?", type=Path, metavar="FILE", help="a file with one scenario")
    parser.add_argument(
        "--from",
        dest="tool",
        choices=(*TOOLS, AUTO),
        metavar="TOOL",
        help=f"FILE is the configuration of another tool: {', '.join(TOOLS)}, or auto to tell by its keys",
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="(default: text)")
    add_color(parser)
    _add_questions(parser)
    fields = parser.add_argument_group("fields of the scenario, instead of a file or over it")
    for name, field in FIELDS.items():
        example = f" (such as {field.examples[0]})" if field.examples else ""
        fields.add_argument(flag_of(name), dest=name, metavar="VALUE", help=f"{field.doc}{example}".replace("%", "%%"))


def _add_questions(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("questions, instead of an estimate")
    questions = group.add_mutually_exclusive_group()
    questions.add_argument(
        "--solve",
        metavar="FIELD",
        type=_solvable,
        help=f"the largest that fits on --gpu, or on every GPU: {', '.join(SOLVABLE)}",
    )
    questions.add_argument(
        "--compare",
        action="append",
        metavar="FIELD=VALUE[,…]",
        help="the memory before and after a change, row by row (may be repeated)",
    )
    questions.add_argument("--advise", action="store_true", help="known changes that would save memory, the best first")
    questions.add_argument(
        "--print-scenario", "--as-spec", dest="printed", action="store_true", help="the scenario, in the form of a file"
    )


def _solvable(text: str) -> str:
    """A field that can be solved for, by its name here or in another tool."""
    name = OTHER_NAMES.get(text, text)
    if name not in SOLVABLE:
        near = nearest(text, (*SOLVABLE, *OTHER_NAMES), 1)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise argparse.ArgumentTypeError(f"{text[:60]!r} is not one of {', '.join(SOLVABLE)}{meant}")
    return name


def run(arguments: argparse.Namespace) -> int:
    """Prints the answer, or what could not be done."""
    said = {name: written(name, text) for name in FIELDS if (text := getattr(arguments, name)) is not None}
    if arguments.scenario is None and (not said or arguments.tool is not None):
        hint("no file to read" if arguments.tool else "no scenario: name a file, or give --model and --method")
        return COULD_NOT
    found = asked(arguments.scenario, arguments.tool, said)
    if found is None:
        return COULD_NOT
    if not arguments.printed and (unsaid := unsaid_gpus(found.scenario)) is not None:
        hint(unsaid)
        return COULD_NOT
    for note in notes_of(found.scenario, found.base):
        hint(note)
    try:
        return _answered(arguments, found)
    except REFUSALS as refusal:
        hint(f"this cannot be computed: {refusal}")
        if not isinstance(refusal, MalformedConfig) and _may_be_traced(found.scenario, str(refusal)):
            hint("`toolkit trace` may do it: it runs the code of transformers and peft, and needs no formula of ours")
    except TooManySettingsError as error:
        hint(f"{error}; say more of the scenario")
    return COULD_NOT


def _may_be_traced(scenario: Scenario, refusal: str) -> bool:
    """Whether a trace may succeed where formulas refuse; not if transformers or peft themselves lack support."""
    from toolkit.memory.trace.refused import refusal_of

    lacked = any(words in refusal for words in ("transformers has no", "peft refuses"))
    return not lacked and not refusal_of(decide(scenario, {}))


def _answered(arguments: argparse.Namespace, found: Asked) -> int:
    as_text = arguments.format == "text"
    paint = paint_for(arguments.color)
    if arguments.printed:
        emit(scenario_yaml(found.scenario, found.read) if as_text else scenario_json(found.scenario))
        return 0
    if arguments.solve:
        return solved(found, arguments.solve, paint, as_text=as_text)
    asks = arguments.compare or arguments.advise
    before = answer(found.scenario, found.base, {} if asks else unsaid_results(found.scenario))
    if before is None:
        hint(f"no model is known as {found.scenario.model}")
        return COULD_NOT
    if arguments.compare:
        return compared(found, before, arguments.compare, paint, as_text=as_text)
    if arguments.advise:
        return advised(found, before, paint, as_text=as_text)
    emit(estimate_text(before, paint) if as_text else estimate_json(before, found.read))
    return 0
