"""The documents of this repository, edited at random: what is bound again states what it stated before."""

import difflib
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.command import REPOSITORY
from toolkit.checks.fix.plan import repaired
from toolkit.checks.fix.source import Source, read_source
from toolkit.checks.fix.trial import SpecFile, Trial
from toolkit.documents.document import Document
from toolkit.spec.load import load_spec

SPECS = sorted(REPOSITORY.glob("specs/documents/*/claims.yaml"))
TYPOGRAPHY = {"-": "\u2013", "'": "\u2019", " ": "\u00a0", '"': "\u201c", "*": "", "`": "", "\u2013": "-"}
BLOCK = tuple("|#->`1234567890 ")


def other_typography(text: str, random_: random.Random) -> str:
    """Half of the lines of prose with some of their signs written otherwise."""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if line and not line.startswith(BLOCK) and random_.random() < 0.5:
            signs = (TYPOGRAPHY.get(sign, sign) if random_.random() < 0.15 else sign for sign in line)
            lines[number] = "".join(signs)
    return "\n".join(lines)


def other_headings(text: str, random_: random.Random) -> str:
    """Some headings with a word more."""
    return re.sub(r"(?m)^(#+ .*)$", lambda one: one[1] + (" anew" if random_.random() < 0.3 else ""), text)


def other_sections(text: str, random_: random.Random) -> str:
    """Some paragraphs moved to the ends of other sections."""
    sections = [part.split("\n\n") for part in re.split(r"(?m)^(?=#+ )", text)]
    for _ in range(5):
        section = random_.choice(sections)
        if len(section) > 2:
            paragraph = section.pop(random_.randrange(1, len(section)))
            random_.choice(sections).insert(-1, paragraph)
    return "".join("\n\n".join(section) for section in sections)


def trial_of(path: Path) -> tuple[Trial, SpecFile]:
    """A spec of this repository with its document, as texts."""
    spec, _ = load_spec(path, REPOSITORY)
    source = read_source(path, REPOSITORY)
    assert spec is not None
    assert isinstance(source, Source)
    file = SpecFile(path, source)
    document = Document(spec.document_path.name, spec.document_path.read_text("utf-8"))
    return Trial(REPOSITORY, document, {file: source.text}), file


def bound(trial: Trial, file: SpecFile) -> dict[tuple[object, ...], list[str]]:
    """The words of each claim's value, by what the claim says beside its quote."""
    binding = trial.binding(file)
    assert binding is not None
    found: dict[tuple[object, ...], list[str]] = {}
    for one in binding.claims:
        key = (one.claim.place.line, one.claim.place.column, one.claim.quantity, one.row, one.column)
        found[key] = re.findall(r"\w+", one.slot_text or one.quote_text)
    return found


@pytest.mark.parametrize("path", SPECS, ids=[path.parent.name for path in SPECS])
@pytest.mark.parametrize("edit", [other_typography, other_headings, other_sections])
def test_what_is_bound_again_states_what_it_did(edit: Callable[[str, random.Random], str], path: Path) -> None:
    whole, file = trial_of(path)
    before = bound(whole, file)
    edited = whole.with_document(edit(whole.document.text, random.Random(path.parent.name)))
    mended, fixes = repaired(edited, file)
    lost, left = (set(before) - set(bound(one, file)) for one in (edited, mended))
    assert left <= lost
    assert len(left) < len(lost) or not fixes
    assert {key: words for key, words in bound(mended, file).items() if key in lost} == {
        key: before[key] for key in lost - left
    }
    # Every line that no fix speaks of stays as it was.
    lines = {line for fix in fixes for line in range(fix.place.line, (fix.place.end_line or fix.place.line) + 1)}
    old, new = edited.specs[file].splitlines(), mended.specs[file].splitlines()
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    changed = {
        line + 1 for kind, low, high, _, _ in matcher.get_opcodes() if kind != "equal" for line in range(low, high)
    }
    assert changed <= lines
    again, more = repaired(mended, file)
    assert more == []
    assert again.specs[file] == mended.specs[file]
