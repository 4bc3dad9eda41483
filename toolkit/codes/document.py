"""Codes of the document family: what keeps a claim from being read at its place in the document."""

from __future__ import annotations

from toolkit.codes.code import Code

DOCUMENT_CODES: tuple[Code, ...] = (
    Code(
        "D201",
        "Quote lost",
        "A claim is bound to words of the document. They no longer stand there as the spec quotes "
        "them, so nobody knows what the document says now: the sentence was changed, moved under "
        "another heading or deleted. White space may differ, and so may the text in the slots "
        "`{}` and `{*}`; nothing else. A quote neither begins nor ends inside a word or a number, "
        'so that "batch size 8" is lost when the document says 80.',
        "Quote the sentence as it stands now; the message shows the nearest one, word by word. A quote that "
        "moved or changed its typography alone is bound again by `toolkit fix`. If the document "
        "no longer makes the claim, delete it from the spec.",
        'D201 quote "needs **{}** of VRAM" is not in guide.md; nearest text, line 41: "needs **94 GB** of memory"',
    ),
    Code(
        "D202",
        "Quote ambiguous",
        "The quoted words stand more than once where the spec looks for them, so it is open which "
        "of the places states the claim.",
        "Quote more of the sentence, name the heading above it with `under`, or say which place "
        "is meant with `occurrence`, counted from 1.",
        'D202 quote "≈ **{}**" stands more than once in guide.md: at 56:1, 83:1, 121:1',
    ),
    Code(
        "D203",
        "Table, row or column not found",
        "A claim names a cell by its table (the first, or `occurrence`-th, under a heading), the "
        "text of the first cell of its row and the text of its column's header, as a reader sees "
        "them: emphasis and code marks do not count. One of the three is not there, or is there "
        "more than once.",
        "Write the label as it stands in the table; the message lists the known ones.",
        'D203 the table at guide.md:134 has no column "VRAM"; columns: "Method", "GPU VRAM"; nearest: "GPU VRAM"',
    ),
    Code(
        "D204",
        "Slot without a value",
        "The quote was found, but what stands in its slot is not a value of the kind that the "
        "claim is about, or nothing stands there at all.",
        "Move the slot so that it holds the number with its unit and nothing else, or correct the document.",
        'D204 the cell in row "QLoRA", column "GPU VRAM" of the table at guide.md:134 is empty',
    ),
    Code(
        "D205",
        "Document unreadable",
        "A document is a UTF-8 text file of at most 1 MiB inside the folder that is checked, "
        "links followed. Nothing can be said about the claims of one that is not.",
        "Correct `document:` in the spec, which is a path relative to the spec, or save the file as UTF-8.",
        "D205 cannot read guide.md: it is not UTF-8: byte 0x94",
    ),
    Code(
        "D206",
        "Heading not found or ambiguous",
        "`under` names the heading in whose section a quote or a table stands. The document has "
        "no such heading, or several. Headings are compared as a reader sees them; emphasis and "
        "code marks do not count.",
        "Write the heading as it stands in the document. One of several is named by a path "
        'through the headings around it: `under: "Scenario A > Activations"`. The front matter is '
        "named `---`.",
        'D206 guide.md has 3 headings "Activations": line 54, line 81, line 119',
    ),
    Code(
        "D207",
        "Both readings of GB needed",
        'A document has one reading of "GB": 10^9 or 2^30 bytes. Its exact statements hold only '
        "when some are read one way and some the other, which misleads its readers by 7 %.",
        "Let the document say GiB where it means 2^30 bytes, or declare its reading in a sentence "
        "and quote that under `units` in the spec.",
        'D207 "11.67 GB" at guide.md:70:36 is true in units of 2^30 bytes, "28 GB" at guide.md:40:5 in units of 10^9',
    ),
    Code(
        "D208",
        "Scenario no longer as quoted",
        "A field of a scenario has a quote that says so. The quoted text now holds another value "
        "than the one the spec has typed, so every claim of the scenario is judged for a "
        "situation that the document no longer describes.",
        "Type the value that the document states now, or write another quote if the document "
        "still says the old value elsewhere.",
        'D208 sequence_length is 512 in the spec, but guide.md:13:50 says "1024"',
    ),
    Code(
        "D209",
        "File left alone",
        "`toolkit fix` writes a file only where nothing can be lost: it lies inside the folder that is "
        "checked, links followed, it is UTF-8, nobody has changed it since it was read, and the check is "
        "better for the change. One of that does not hold, so the file is as it was.",
        "Run `toolkit fix` again if the file was changed meanwhile; otherwise repair it by hand.",
        "D209 guide.md has changed since it was read, and is left as it is; run again",
    ),
    Code(
        "D210",
        "Memory figures without a claim",
        "With `--min-coverage`, so many percent of the memory figures that `toolkit scan` finds in a document "
        "must be bound to claims of its spec. A figure that no claim is bound to is checked by nobody. A claim "
        "covers the figure in its slot, and those that it is worked out from. Figures that a comment "
        "`<!-- toolkit: ignore D210 … -->` answers for are not counted.",
        "Bind the figures that `toolkit check --coverage` lists, or say in a comment why nobody need check them.",
        "D210 37 of 40 memory figures are bound to claims, 92.5 %; 95 % are asked for",
    ),
    Code(
        "D211",
        "Comment not understood",
        "An HTML comment that begins with `toolkit:` speaks to the toolkit: "
        '`<!-- toolkit: ignore M301 reason="as measured in 2024" until=2027-03-01 -->` above a block or '
        "in a line, or `<!-- toolkit: claim peak_memory scenario=qlora -->` before a value. This one is not "
        "understood, so it does nothing. A reason is always needed, codes must exist, and values stand between "
        "straight quotation marks.",
        "Correct the comment; the message says what is wrong with it.",
        "D211 no finding has the code M399; write M309",
    ),
    Code(
        "D212",
        "Comment that ignores nothing",
        "A comment in the document asks to ignore findings of a code in a block or line, and nothing "
        "there has such a finding, or the day until which it holds is over. Left alone, it would hide the next "
        "mistake.",
        "Take the comment out, or the code that is not needed; give it a new date if the reason still holds.",
        "D212 nothing in line 12 needs to be ignored",
    ),
    Code(
        "D213",
        "Marked claim that nobody reads",
        "The document marks claims in comments, `<!-- toolkit: claim … -->`, and its spec does not say "
        "`marks: true`, so nobody judges them.",
        "Add `marks: true` to the spec that has their scenarios, or take the marks out.",
        "D213 the document marks claims, and no spec of it says marks: true",
    ),
    Code(
        "D214",
        "Stated differently in two documents",
        "Two documents of one run make the same statement, in the same words, in the same row of a table, or about "
        "the same model, method, precision, batch and sequence, with figures of which one cannot be the other "
        "rounded. One of them is out of date, or what tells them apart is not said. Which one is not known, so it "
        "is a warning.",
        "Correct one of the two, or say what tells them apart.",
        'D214 "18 GB" (peak_memory) is "14 GB" in the same statement at docs/training.md:12:30',
    ),
)
