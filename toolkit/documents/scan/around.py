"""The words around a figure, from which its quantity is determined."""

from __future__ import annotations

from toolkit.documents.scan.pieces import Kind
from toolkit.frozen import frozen


@frozen
class Around:
    """The words around a figure: those of its sentence on both sides, its labels, headings and what led to it.

    `paragraph` is what stands before its sentence in its paragraph, `lead` the paragraph before, `intro` what leads
    to its table or list; `themed` says that the document speaks of memory more than in passing, `models` the
    same of models.
    """

    before: str
    after: str
    row: str = ""
    column: str = ""
    headings: tuple[str, ...] = ()
    lead: str = ""
    title: str = ""
    paragraph: str = ""
    themed: bool = False
    kind: Kind = Kind.PROSE
    intro: str = ""
    item: bool = False
    models: bool = False

    @property
    def sentence(self) -> str:
        """The sentence without the figure."""
        return f"{self.before} {self.after}"
