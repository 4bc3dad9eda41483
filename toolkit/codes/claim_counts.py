"""Codes of claims about parameters, and about arithmetic that a document prints."""

from __future__ import annotations

from toolkit.codes.code import Code

COUNT_CODES: tuple[Code, ...] = (
    Code(
        code="P401",
        title="Number of parameters",
        why="Compared with the exact count of the architecture with the scenario's head: tied "
        "weights once, adapters left out. The count is verified against the library's own "
        "model; it has no error beyond the rounding of the printed digits.",
        repair="Print the count, or as many digits of it as are true.",
        example='"11,049,066,048 parameters" for gpt-oss-20b: the storage elements after NF4 packing '
        "and 7,962,624 LoRA weights; the model has 20,914,757,184.",
    ),
    Code(
        code="P402",
        title="Number of trained parameters",
        why="Compared with what the method trains: every parameter, or rank × (inputs + outputs) "
        "for each module that the adapters' targets match by peft's rules. Names that match no "
        "module add nothing.",
        repair="Print the count for the modules that are really matched, or state rank and targets.",
        example='"21M trainable" for rank 16 on q, k, v and o of gpt-oss-20b: 7,962,624.',
    ),
    Code(
        code="P403",
        title="Share of trained parameters",
        why="The trained parameters divided by the parameters of the model, both counted exactly. "
        "What libraries print beside it may count packed storage elements instead.",
        repair="Divide by the number of parameters of the model, not by what `numel` says of packed weights.",
        example='"0.07 % of parameters" for 7,962,624 of 20,914,757,184: 0.038 %.',
    ),
    Code(
        code="P404",
        title="Adapted modules",
        why="Each name in the text is matched against the modules of the model by peft's rules. It "
        'disagrees when a name matches no module, or when the text says "all linear" and linear '
        "layers or fused experts are left out.",
        repair="List the names that match, or change the training code so that the others do.",
        example='"q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj" for gpt-oss-20b: gate, '
        "up and down match no module, for the experts are fused parameters.",
    ),
    Code(
        code="P405",
        title="Format of a checkpoint",
        why="Compared with what the published config says: its quantization method, or the dtype of its tensors.",
        repair="Name the format in which the checkpoint is published.",
        example='"the unquantized gpt-oss-20b": its published checkpoint holds the experts in MXFP4.',
    ),
    Code(
        code="A501",
        title="Arithmetic",
        why="The left side is evaluated exactly from the printed numbers, with their units, and "
        "compared with what the printed result may have been rounded from. For sums of measured "
        "amounts each term may have been rounded as well; whole numbers without a unit are "
        "taken as they stand, and so are all with `subject: {terms: printed}`, where a sentence compares the figures "
        "beside it. Money per time, times a time, is money. The right inputs are not asked for: a sum may add up "
        "and its terms be wrong.",
        repair="Print the result that is shown, or correct the term that is wrong.",
        example='"4.16 GiB + 3–6 GiB = ~8–12 GiB": the printed numbers give 7.16–10.16 GiB, and no '
        "rounding brings 10.16 to 12.",
    ),
    Code(
        code="A502",
        title="Change between two figures or two scenarios",
        why="The percentage or factor is compared with what both figures of the document, over the "
        "rounding of each, give; a range is taken as printed. Whether the figures are true is asked where they are "
        "claimed. With `of:` the ends are scenarios, and the difference, share or ratio is that of what they take: "
        "what is equal in both cancels out, and each category that differs has its own known error. With "
        "`subject: {says: less}` the direction alone is claimed.",
        repair="Print the change that the figures or the scenarios give, or correct the figure that is wrong.",
        example='"40 GB to 11.67 GB (~50 % reduction)": it is 71 %.',
    ),
)
