"""Codes of claims about runs, software and quality, and of acknowledgements."""

from __future__ import annotations

from toolkit.codes.code import Code

RUN_CODES: tuple[Code, ...] = (
    Code(
        code="R601",
        title="Number of training steps",
        why="Compared with the optimizer's steps: epochs × examples, divided by batch × "
        "accumulation × GPUs and rounded up in each epoch. Forward passes and examples seen are "
        "shown beside it, for they are often meant.",
        repair="Print the number of steps, or call the figure what it is: examples seen, or forward passes.",
        example='"320 examples × 3 epochs = 960 training steps" at 2 × 4 examples a step: 120 steps, '
        "960 examples seen.",
    ),
    Code(
        code="R602",
        title="Duration",
        why="With `formula:` it is compared with what the printed times of its parts, or of one step, give: it agrees "
        "when it admits all of that, and depends where a printed range leaves it open. Without, the time is read, so "
        "that a broken figure is noticed, and stays unchecked: only a measurement of that very run shows it.",
        repair="Print the time that the parts give. Nothing to repair where it is unchecked.",
        example='"Total: 20-22 hours" of 10 minutes and three epochs of 8-10 hours each: they give 24.17–30.17 hours.',
    ),
    Code(
        code="R603",
        title="Cost",
        why="With `formula:` it is compared with what printed prices and times give, such as dollars an hour times "
        "hours; a range of them leaves open what is paid, and the claim may depend on it. Without, the amount is read, "
        "so that a broken figure is noticed, and stays unchecked: prices change by the day and the seller.",
        repair="Print what the price and the time give. Nothing to repair where it is unchecked.",
        example='"$1.50-2.00/hour for 10 hours: $30": the printed figures give $15–20.',
    ),
    Code(
        code="R604",
        title="Space on disk",
        why="Compared with the bytes of the published checkpoint's tensors, in the form in which "
        "they are stored there, give or take a thousandth for headers. Without a scenario that "
        "names the model it is unchecked. With `subject: {says: enough}` the figure is what shall be free: it "
        "may be larger.",
        repair="Print the size of the download, or say which files are meant.",
        example='"Llama-3.1-8B: download 4 GB": its bf16 tensors take 16.06 GB.',
    ),
    Code(
        code="R605",
        title="Main memory",
        why="With `formula:` it is compared with what other printed figures give. Without, the amount is read, so that "
        "a broken figure is noticed, and stays unchecked: what a machine has, or a process took, is on no record.",
        repair="Print what the figures give. Nothing to repair where it is unchecked.",
        example='"RAM: 62 GB": unchecked.',
    ),
    Code(
        code="R606",
        title="Ratio of speeds",
        why="With `from:` and `to:` it is compared with the two printed times between which it lies, with `formula:` "
        "with what the printed figures give. Without, the factor is read, so that a broken figure is noticed, and "
        "stays unchecked: only a measurement of both sides shows it.",
        repair="Print the ratio that the figures give. Nothing to repair where it is unchecked.",
        example='"2x faster with Unsloth": unchecked.',
    ),
    Code(
        code="R607",
        title="A setting that the document states",
        why="Compared with the field of the scenario that the document's other figures rest on. It "
        "shows that a document says one thing in one place and another elsewhere; it does not "
        "say which of them was done. With `subject: {config: max_position_embeddings}` it is a setting of the model, "
        "compared with its published config.",
        repair="Make both places say the same, or give the second its own scenario.",
        example='"batch size 4" where the steps are reckoned with "2 per device".',
    ),
    Code(
        code="R608",
        title="An event",
        why="Something that happened once on one machine. No record of it is at hand, so that it is unchecked.",
        repair="Nothing to repair. What the event shows (that it fits, how much it took) can be claimed as such.",
        example='"The first step ran": unchecked.',
    ),
    Code(
        code="W701",
        title="Software",
        why="Compared with recorded metadata of the package index: does the release exist, do the "
        "declared requirements of either package admit the other's version, since which release "
        "does a library know a model or a format. Metadata that admits a pair does not show "
        "that it runs, so a reported incompatibility stays unchecked. What a package is said to lack has "
        "`says: unsupported`; without a version it is said of all releases.",
        repair="Name a release that exists and that the requirements admit.",
        example="Unsloth 2025.11.1 declares trl!=0.19.0,<=0.23.0,>=0.18.2, so trl 0.19.0 cannot be "
        "installed beside it; and there is no Unsloth 2024.11.1.",
    ),
    Code(
        code="Q801",
        title="Quality",
        why="Recall, accuracy or perplexity stay unchecked: they need the trained model and its "
        "test data, which no config shows.",
        repair="Nothing to repair. Differences of printed scores can be claimed as `arithmetic`.",
        example='"69 % recall": unchecked.',
    ),
    Code(
        code="K901",
        title="An acknowledgement is over",
        why="The claim still disagrees, and the day until which that was accepted has passed. It "
        "was given an end so that somebody looks again.",
        repair="Correct the document, or acknowledge it anew: with a reason, and a later day or none.",
        example="acknowledged: {reason: corrected in the next edition, until: 2026-01-14}   # read on 15 January",
    ),
    Code(
        code="K902",
        title="A needless acknowledgement",
        why="The claim is acknowledged as wrong and does not disagree. Left in place it would hide "
        "the next error at that place.",
        repair="Take the acknowledgement out.",
        example="A document said 960 steps, acknowledged. It was corrected to 120, which agrees.",
    ),
)
