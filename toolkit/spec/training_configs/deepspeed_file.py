"""Reads a file of DeepSpeed's settings that a trainer's configuration names, if it is in the configuration's folder."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from toolkit.finding import Finding
from toolkit.spec.paths import real_path
from toolkit.spec.training_configs.config import Config
from toolkit.spec.yaml.compose import compose
from toolkit.spec.yaml.node import Entries
from toolkit.spec.yaml.read_file import as_entries, read_text_file

MAX_BYTES = 64 << 10
"""DeepSpeed's settings take a few kilobytes."""

ENDINGS = (".json", ".yaml", ".yml")


def beside_it(config: Config, named: str) -> Config | None:
    """The settings as if they were written in the configuration under `deepspeed`, with places in their own file.

    None for a path that is absolute, leads out of the configuration's folder, or leads to no file. Mistakes of a file
    that exists are reported, and it then counts as empty.
    """
    file = _inside(config.folder, named)
    if config.folder is None or file is None:
        return None
    shown = (PurePosixPath(config.shown).parent / named).as_posix()
    text = read_text_file(file, config.folder, MAX_BYTES)
    entries = None
    if isinstance(text, Finding):
        config.findings.append(text)
    else:
        node, findings = compose(text.replace("\t", " "), shown)  # JSON may be indented by tabs
        entries = as_entries(node, findings, shown, "a configuration of DeepSpeed")
        config.findings += findings
    inside = Entries()
    if entries is not None:
        inside["deepspeed"] = entries
    return Config(config.tool, inside, shown, config.said, config.fields, config.remarks, config.findings)


def _inside(folder: Path | None, named: str) -> Path | None:
    """The file of that name in a folder; None where the name is no plain path to one."""
    path = PurePosixPath(named)
    leads_out = path.is_absolute() or ".." in path.parts or named.startswith("~")
    if folder is None or leads_out or any(one in named for one in "\\:\0") or path.suffix.lower() not in ENDINGS:
        return None
    file = folder / path
    try:
        inside = real_path(file).is_relative_to(real_path(folder))
        return file if inside and file.is_file() else None
    except (OSError, ValueError):  # a name that is too long
        return None
