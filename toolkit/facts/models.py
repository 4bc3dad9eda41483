"""Model configurations: verified ones of the package, pinned files beside the specs, local config.json files.

Nothing is fetched. A file that a stranger may have written is read with a size limit, as JSON only, and only
from inside the folder that was given.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import field, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NoReturn

from toolkit.facts.four_bits import IN_NF4, copied_in_four_bits
from toolkit.facts.names import UnknownName, nearest
from toolkit.frozen import frozen

# The largest config.json on the Hub is a few hundred KB (long id2label tables).
MAX_CONFIG_BYTES = 1_000_000
_NEAREST = 3
HASH_DIGITS = 16

_DATA = Path(__file__).parent / "data"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")

MODEL_IDS: tuple[str, ...] = tuple(json.loads((_DATA / "model_ids.json").read_text("utf-8")))
"""The ids of the verified models, sorted."""

_KNOWN = frozenset(MODEL_IDS)

ALIASES: Mapping[str, str] = json.loads((_DATA / "model_aliases.json").read_text("utf-8"))
"""Ids of other repositories with the tensors of a verified model: mirrors, other formats (Llama 2 is published in
Meta's own and, as "-hf", for transformers), older names, and later trainings of the same sizes."""


@frozen
class ModelFacts:
    """What is known about a model: its published config, and exact parameter counts where they were verified.

    `checkpoint_dtype` is how the published weights are stored (torch's name), `quantization` the config's
    `quantization_config`, `storage` the elements and bytes of a quantized checkpoint. `verified_params`
    counts tied weights once; `published_params` is what its checkpoint or its makers count, in its relation to that;
    `params_by_class` does so by transformers class. `verified_how` says by what, or why not. `text_only` is the decoder
    alone of an image-text model.
    """

    id: str
    config: Mapping[str, Any]
    config_hash: str
    checkpoint_dtype: str | None = None
    quantization: Mapping[str, Any] | None = None
    storage: Mapping[str, Any] | None = None
    verified_params: int | None = None
    published_params: int | None = None
    published_relation: str | None = None
    params_by_class: Mapping[str, int] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    verified: bool = False
    verified_how: str | None = None
    text_only: ModelFacts | None = None


def config_hash(config: Mapping[str, Any]) -> str:
    """A short identity of a config: the first 16 hex digits of the SHA-256 of its canonical JSON."""
    canonical = json.dumps(config, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()[:HASH_DIGITS]


def model_from_config(config: Mapping[str, Any], name: str) -> ModelFacts:
    """Facts of a config that nobody verified: of a local config.json, or one written into a scenario."""
    return ModelFacts(
        id=name,
        config=config,
        config_hash=config_hash(config),
        checkpoint_dtype=_dtype_of(config),
        quantization=_mapping(config.get("quantization_config")),
    )


def load_model(name_or_path: str, *, base: Path | None = None) -> ModelFacts | UnknownName:
    """The model of that id, or of a config.json given as a relative path inside `base`.

    An id is looked up among the verified models and their aliases, then as `models/<org>--<name>.json` inside `base`.
    """
    name_or_path = ALIASES.get(name_or_path, name_or_path)
    if name_or_path in _KNOWN:
        return _verified(name_or_path)
    whole = copied_in_four_bits(name_or_path, ALIASES)
    if whole in _KNOWN:
        return _in_four_bits(name_or_path, whole)
    if base is not None and name_or_path.endswith(".json"):
        return _load_file(name_or_path, name_or_path, base)
    if not _ID.fullmatch(name_or_path):
        return _unknown(name_or_path, "a model is named as organisation/name, or by the path of a .json file")
    if base is None:
        return _unknown(name_or_path, "")
    pinned = f"models/{name_or_path.replace('/', '--')}.json"
    if not (base / pinned).exists():
        return _unknown(name_or_path, "")
    return _load_file(name_or_path, pinned, base)


def is_written_out(model: str) -> bool:
    """Whether the model of a scenario is a config, written out as JSON, and not a name."""
    return model.startswith("{")


def model_of(model: str, *, base: Path | None = None) -> ModelFacts | UnknownName:
    """The model of a scenario: a config that is written out, or else an id or a path as in `load_model`."""
    if is_written_out(model):
        return model_from_config(json.loads(model), "the config of the scenario")
    return load_model(model, base=base)


@cache
def _verified(model_id: str) -> ModelFacts:
    path = _DATA / "models" / f"{model_id.replace('/', '--')}.json"
    return _from_record(json.loads(path.read_text("utf-8")), model_id)


@cache
def _in_four_bits(name: str, whole: str) -> ModelFacts:
    """A copy of a verified model whose linears bitsandbytes has quantized: its config beside what says so."""
    facts = _verified(whole)
    config = {**facts.config, "quantization_config": IN_NF4}
    note = f"taken, by its name, for {whole} with its linear layers stored in NF4"
    hashed, notes = config_hash(config), (*facts.notes, note)
    return replace(facts, id=name, config=config, config_hash=hashed, quantization=IN_NF4, storage=None, notes=notes)


def _load_file(name: str, relative: str, base: Path) -> ModelFacts | UnknownName:
    """Facts from a file inside `base`: a pinned record (it has `config`) or a bare config.json."""
    try:
        document = _read_json(relative, base)
    except (OSError, ValueError, RecursionError) as error:
        return _unknown(name, _describe(error))
    if isinstance(document.get("config"), dict):
        return _from_record(document, name)
    return model_from_config(document, name)


def _read_json(relative: str, base: Path) -> dict[str, Any]:
    """The JSON object in a file; ValueError or OSError says why it is not taken."""
    if "\0" in relative or Path(relative).is_absolute():
        raise ValueError("the path must be relative")
    root = base.resolve()
    path = (root / relative).resolve()
    if not path.is_relative_to(root):
        raise ValueError("the path leads out of the folder of the specs")
    if not path.is_file():
        raise ValueError("no such file")
    with path.open("rb") as stream:
        content = stream.read(MAX_CONFIG_BYTES + 1)
    if len(content) > MAX_CONFIG_BYTES:
        raise ValueError(f"the file has more than {MAX_CONFIG_BYTES:,} bytes")
    document = json.loads(content.decode("utf-8"), parse_constant=_refuse_constant)
    if not isinstance(document, dict):
        raise ValueError("the file holds no JSON object")  # noqa: TRY004 - a fault of the file
    return document


def _from_record(record: Mapping[str, Any], name: str) -> ModelFacts:
    """Facts from a record, which a stranger may have pinned: values of a wrong type are left out."""
    config: Mapping[str, Any] = record["config"]
    facts = model_from_config(config, name)
    dtype = record.get("checkpoint_dtype")
    counted, published = record.get("verified_params"), record.get("published_params")
    relation = record.get("published_params_relation")
    classes = _mapping(record.get("params_by_class")) or {}
    return ModelFacts(
        id=name,
        config=config,
        config_hash=facts.config_hash,
        checkpoint_dtype=dtype if isinstance(dtype, str) else facts.checkpoint_dtype,
        quantization=facts.quantization,
        storage=_mapping(record.get("published_storage")),
        verified_params=counted if isinstance(counted, int) else None,
        published_params=published if isinstance(published, int) else None,
        published_relation=relation if isinstance(relation, str) else None,
        params_by_class={key: count for key, count in classes.items() if isinstance(count, int)},
        sources=_texts(record.get("sources")),
        notes=_texts(record.get("notes")),
        verified=record.get("verified") is True,
        verified_how=how if isinstance(how := record.get("verified_how"), str) else None,
        text_only=_text_only(record, name),
    )


def _text_only(record: Mapping[str, Any], name: str) -> ModelFacts | None:
    part = record.get("text_only")
    if not isinstance(part, dict) or not isinstance(part.get("config"), dict):
        return None
    return _from_record({**part, "text_only": None}, name)


def _unknown(name: str, reason: str) -> UnknownName:
    return UnknownName(name, _near(name), reason or None)


@lru_cache(maxsize=64)
def _near(name: str) -> tuple[str, ...]:
    """Models that may be meant: a name is compared with all of them, which takes longer than an estimate."""
    known = (*MODEL_IDS, *ALIASES)
    asked = name.casefold()
    same = [known_id for known_id in known if known_id.casefold().partition("/")[2] == asked]  # a maker left out
    return tuple(dict.fromkeys((*same, *nearest(name, known))))[:_NEAREST]


def _describe(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "the file is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "the file is not UTF-8"
    if isinstance(error, json.JSONDecodeError):
        return f"the file is not JSON: line {error.lineno}, column {error.colno}: {error.msg}"
    if isinstance(error, OSError):
        return f"the file cannot be read: {error.strerror}"
    return str(error)


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"the file is not JSON: {constant}")


def _dtype_of(config: Mapping[str, Any]) -> str | None:
    """`torch_dtype`, or `dtype` as transformers 5 writes it; that of the text part where only it has one."""
    for part in (config, _mapping(config.get("text_config")) or {}):
        for key in ("torch_dtype", "dtype"):
            if isinstance(part.get(key), str):
                return str(part[key])
    return None


def _mapping(value: object) -> Mapping[str, Any] | None:
    return value if isinstance(value, dict) else None


def _texts(value: object) -> tuple[str, ...]:
    return tuple(text for text in value if isinstance(text, str)) if isinstance(value, list) else ()
