"""The result of scanning documents: every figure with its verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import field
from fractions import Fraction
from typing import Final

from toolkit.checks.judgement import Ignored, Verdict
from toolkit.finding import Finding, Place, Severity
from toolkit.frozen import frozen

UNCHECKED: Final = "nothing in the document or the fact tables settles it; a spec with its scenario would"
UNREADABLE: Final = "D205"


@frozen
class ScannedClaim:
    """A figure, a mark or an equation of a document with what is said of it.

    `text` is the figure as it stands in the file, `quote` the words of its line around it. `low` and `high` are as
    printed, in `unit`; one is None where the statement is a bound, both where it is a mark.
    """

    place: Place
    text: str
    quote: str
    quantity: str
    code: str
    verdict: Verdict
    reason: str
    repair: str | None = None
    low: Fraction | None = None
    high: Fraction | None = None
    unit: str | None = None
    hedge: str | None = None
    mark: str | None = None
    context: Mapping[str, str] = field(default_factory=dict)
    ignored: Ignored | None = None

    @property
    def specific(self) -> bool:
        """Whether its reason is one of its own."""
        return self.reason is not UNCHECKED

    @property
    def gates(self) -> bool:
        """Whether this statement is false and not ignored by a comment."""
        return self.verdict is Verdict.DISAGREES and self.ignored is None


@frozen
class ScanResult:
    """What was found in documents; `findings` are those that could not be read."""

    documents: tuple[str, ...]
    claims: tuple[ScannedClaim, ...]
    findings: tuple[Finding, ...]

    @property
    def ignored(self) -> int:
        """How many false statements are ignored by comments."""
        return sum(claim.ignored is not None for claim in self.claims)

    @property
    def gates(self) -> bool:
        """Whether a statement gates, or a document has an error."""
        return any(claim.gates for claim in self.claims) or any(
            finding.severity is Severity.ERROR for finding in self.findings
        )

    @property
    def unreadable(self) -> bool:
        """Whether there was something that could not be read."""
        return any(finding.code == UNREADABLE for finding in self.findings)

    @property
    def counts(self) -> Mapping[Verdict, int]:
        """How many statements have each verdict."""
        counted = Counter(claim.verdict for claim in self.claims)
        return {verdict: counted[verdict] for verdict in Verdict if verdict is not Verdict.DEPENDS}
