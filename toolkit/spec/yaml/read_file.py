"""Reads the file of a spec; refuses files outside the folder, files that are no text, and large ones."""

from __future__ import annotations

from pathlib import Path

from toolkit.finding import Finding, Place
from toolkit.spec.paths import real_path, shown_path
from toolkit.spec.yaml.compose import MAX_BYTES, compose
from toolkit.spec.yaml.node import Entries, Node, place_of
from toolkit.spec.yaml.scalar import described


def read_entries(path: Path, root: Path, what: str) -> tuple[Entries | None, list[Finding]]:
    """The mapping in a YAML file, and all findings about its form."""
    shown = shown_path(path, root)
    text = read_text_file(path, root)
    if isinstance(text, Finding):
        return None, [text]
    node, findings = compose(text, shown)
    return as_entries(node, findings, shown, what), findings


def as_entries(node: Node | None, findings: list[Finding], shown: str, what: str) -> Entries | None:
    """The node, if it is a mapping; otherwise a finding."""
    if isinstance(node, Entries):
        return node
    if node is not None:
        message = f"{what} is a mapping of fields, and this is {described(node)}"
        findings.append(Finding(place_of(node, shown), "S104", message))
    elif not findings:
        findings.append(Finding(Place(shown), "S104", f"{what} is a mapping of fields, and this file is empty"))
    return None


def read_text_file(path: Path, root: Path, most: int = MAX_BYTES) -> str | Finding:
    """The text of a file inside `root` with a bounded number of bytes, or a finding why it is not read."""
    shown = shown_path(path, root)
    place = Place(shown)
    try:
        if not real_path(path).is_relative_to(real_path(root)):
            return Finding(place, "S109", "the file lies outside the folder that is checked")
        if not path.is_file():
            return Finding(place, "S111", "no such file" if not path.exists() else "this is not a file")
        with path.open("rb") as stream:
            content = stream.read(most + 1)
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        return Finding(place, "S111", f"cannot be read: {getattr(error, 'strerror', None) or error}")
    if len(content) > most:
        return Finding(place, "S112", f"larger than {most:,} bytes: split the file")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        return Finding(Place(shown, line, column), "S111", "is not UTF-8 from here on", "save the file as UTF-8")
