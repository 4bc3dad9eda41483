"""Documents as a test writes them, and what was found in them."""

from toolkit.documents.document import Document
from toolkit.documents.scan.scan import scan
from toolkit.quantity import display_number


def found(text: str) -> list[tuple[str, str]]:
    """Quantity and figure as written of every claim, in order."""
    scanned = scan(Document("guide.md", text))
    return [(claim.quantity, scanned.written(claim.start, claim.end)) for claim in scanned.claims]


def contexts(text: str) -> list[dict[str, str]]:
    return [dict(claim.context) for claim in scan(Document("guide.md", text)).claims]


def ends(text: str) -> list[tuple[str | None, str | None, str | None, str | None]]:
    """Low, high, unit and hedge of every figure."""
    return [
        (
            None if claim.low is None else display_number(claim.low),
            None if claim.high is None else display_number(claim.high),
            claim.value.unit.symbol if claim.value else None,
            claim.value.hedge if claim.value else None,
        )
        for claim in scan(Document("guide.md", text)).claims
    ]
