"""List the models whose architecture is known, show one, or add one by its config."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from toolkit.checks.refusals import REFUSALS
from toolkit.cli.main import COULD_NOT
from toolkit.cli.output import emit, hint, reason_of, write_whole
from toolkit.facts.models import MAX_CONFIG_BYTES, MODEL_IDS, ModelFacts, load_model, model_from_config
from toolkit.facts.names import UnknownName
from toolkit.facts.refresh_software import FetchError, fetch_json
from toolkit.finding import printable
from toolkit.memory.architecture import FAMILIES, architecture_of
from toolkit.quantity import display_count
from toolkit.report.models import family_of, model_json, model_text, models_json, models_text

HUB = "https://huggingface.co/{id}/resolve/main/config.json"
REMOTE_CODE = "auto_map"
"""The key by which a config asks for code from its repository, which is never run here."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `toolkit models`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="every known model, and which parameter counts are not verified")
    listing.add_argument("--family", metavar="TYPE", help="only those of a model_type (qwen2)")
    showing = actions.add_parser("show", help="what is known of one model")
    showing.add_argument("id", metavar="ID", help="organisation/name, or the path of a config.json")
    for action in (listing, showing):
        action.add_argument("--format", choices=("text", "json"), default="text", help="(default: text)")
    adding = actions.add_parser("add", help="pin a model's config beside the specs")
    adding.add_argument("id", metavar="ID", help="organisation/name; its config.json is fetched from the Hub, once")
    adding.add_argument(
        "--from", dest="file", type=Path, metavar="CONFIG.json", help="take this file; nothing is fetched"
    )
    for action in (showing, adding):
        action.add_argument(
            "--folder",
            type=Path,
            default=Path(),
            help="the folder of the specs, which holds models/ (default: .)",
        )


def run(arguments: argparse.Namespace) -> int:
    """Runs the action."""
    return {"list": _list, "show": _show, "add": _add}[arguments.action](arguments)


def _list(arguments: argparse.Namespace) -> int:
    models = [facts for name in MODEL_IDS if isinstance(facts := load_model(name), ModelFacts)]
    if arguments.family is not None:
        kinds = sorted({family_of(facts) for facts in models})
        models = [facts for facts in models if family_of(facts) == arguments.family]
        if not models:
            hint(f"no model is of the family {printable(arguments.family)!r}; known: {', '.join(kinds)}")
            return COULD_NOT
    emit(models_json(models) if arguments.format == "json" else models_text(models))
    return 0


def _show(arguments: argparse.Namespace) -> int:
    facts = load_model(arguments.id, base=arguments.folder)
    if isinstance(facts, UnknownName):
        _tell_unknown(facts)
        return COULD_NOT
    emit(model_json(facts) if arguments.format == "json" else model_text(facts))
    return 0


def _add(arguments: argparse.Namespace) -> int:
    name: str = arguments.id
    known = load_model(name)
    if isinstance(known, ModelFacts):
        hint(f"{known.id} is known already; see `toolkit models show {known.id}`")
        return 0
    if known.note is not None or name.endswith(".json"):
        _tell_unknown(known)
        return COULD_NOT
    config = _config(name, arguments.file)
    problem = config if isinstance(config, str) else _refusal(name, config)
    if problem is not None or isinstance(config, str):
        hint(f"{printable(name)} is not added: {problem}")
        return COULD_NOT
    target: Path = arguments.folder / "models" / f"{name.replace('/', '--')}.json"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, _record(name, config, arguments.file))
    except OSError as error:
        hint(f"cannot write {target}: {reason_of(error)}")
        return COULD_NOT
    counted = architecture_of(model_from_config(config, name)).parameters
    emit(f"{printable(str(target))}: {name}, {display_count(counted)} parameters by its config\n")
    return 0


def _config(name: str, file: Path | None) -> dict[str, object] | str:
    """The config, or why there is none."""
    if file is None:
        try:
            return dict(fetch_json(HUB.format(id=name), MAX_CONFIG_BYTES))
        except FetchError as error:
            return str(error)
    facts = load_model(file.name if file.suffix == ".json" else f"{file.name}.json", base=file.parent)
    if isinstance(facts, UnknownName):
        return f"{file}: {facts.note}"
    return dict(facts.config)


def _refusal(name: str, config: dict[str, object]) -> str | None:
    """Why a config cannot be used, if that is so."""
    kind = config.get("model_type")
    if REMOTE_CODE in config and not (isinstance(kind, str) and kind in FAMILIES):
        asks = f"its config asks for code of its own ({REMOTE_CODE}), which is never run here"
        return f"{asks}, and {kind!r} is no known family"
    try:
        architecture_of(model_from_config(config, name))
    except REFUSALS as refusal:
        return str(refusal)
    return None


def _record(name: str, config: dict[str, object], file: Path | None) -> str:
    source = f"the file {file.name}" if file else HUB.format(id=name)
    facts = model_from_config(config, name)
    record = {
        "id": name,
        "config": config,
        "config_hash": facts.config_hash,
        "verified": False,
        "sources": [f"config.json: {source}"],
    }
    return json.dumps(record, indent=1, sort_keys=False, ensure_ascii=True) + "\n"


def _tell_unknown(unknown: UnknownName) -> None:
    note = f": {unknown.note}" if unknown.note else ""
    near = f"; nearest: {', '.join(unknown.nearest)}" if unknown.nearest else ""
    hint(f"no model is known as {printable(unknown.name[:100])!r}{note}{near}")
