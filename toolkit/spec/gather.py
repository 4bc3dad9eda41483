"""Finds the files of specs, and joins the results of loading them; needs no code that parses them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.finding import Finding, Place
from toolkit.spec.walk import spec_paths

if TYPE_CHECKING:
    from toolkit.spec.document_spec import Spec


def spec_files(paths: Iterable[Path], root: Path) -> tuple[list[Path], list[Finding]]:
    """The files of specs among paths and in folders; a missing path is a finding, and so is an empty list."""
    paths = list(paths)
    files, findings = spec_paths(paths, root)
    if not paths:
        findings.append(Finding(Place("."), "S114", "no spec is named"))
    return files, findings


def together(
    loaded: Sequence[tuple[Spec | None, list[Finding]]], findings: list[Finding]
) -> tuple[list[Spec], list[Finding]]:
    """Joins specs that were loaded one by one, and all findings; `findings` are those of the search for files."""
    specs = [spec for spec, _ in loaded if spec is not None]
    found = [*findings, *chain.from_iterable(said for _, said in loaded), *_slug_findings(specs)]
    return specs, in_order(found)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Findings by path, line, column and code, each once."""
    unique = dict.fromkeys(findings)
    return sorted(unique, key=lambda one: (one.place.path, one.place.line, one.place.column, one.code, one.message))


def _slug_findings(specs: Sequence[Spec]) -> list[Finding]:
    """Findings about specs with the same slug, whose claims would have the same ids."""
    first: dict[str, Spec] = {}
    findings = []
    for spec in specs:
        earlier = first.setdefault(spec.slug, spec)
        if earlier is not spec:
            message = f"the slug {spec.slug} is that of {earlier.shown_path} too, and claim ids start with it"
            findings.append(Finding(spec.place_of("slug"), "S102", message, "add slug: with another name"))
    return findings
