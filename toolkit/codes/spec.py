"""Codes of the spec family: what can be wrong with a YAML file before any claim is judged."""

from __future__ import annotations

from toolkit.codes.code import Code

SPEC_CODES: tuple[Code, ...] = (
    Code(
        code="S101",
        title="This is no YAML, or no YAML that a spec may be",
        why="The file cannot be read as one YAML mapping whose keys are text. Nothing else in it can be "
        "trusted until that is put right; all other files are still checked.",
        repair="Go to the line and column. Most often a text that holds `: `, `#`, `{` or `[` lacks its "
        "quotes, or a line is indented by one space too many.",
        example='quote: Memory: {} GB     # wrong: a second colon\nquote: "Memory: {} GB"   # right',
    ),
    Code(
        code="S102",
        title="The same is written twice",
        why="A key, a cell or a claim id stands there twice. YAML readers silently keep the last one, so "
        "that one of the two would be lost without a word.",
        repair="Delete one of them. Two claims with one quote are told apart by `id`, `under` or `occurrence`.",
        example="weights: fp32\nweights: bf16                 # wrong: which?",
    ),
    Code(
        code="S103",
        title="Unknown field",
        why="No field of that name may stand here. A field that nothing reads would be a promise that nothing keeps.",
        repair="Write the field that the message suggests, or delete it. An editor that knows the schema "
        "(`toolkit schema`) completes the names.",
        example="batchsize: 4                  # wrong\nbatch_size: 4                 # right",
    ),
    Code(
        code="S104",
        title="Wrong type or value",
        why="The field asks for something else than what stands there: a number that is too small, text "
        "where a number is asked for, a list where a mapping is.",
        repair="Write what the message asks for. `toolkit schema` prints what every field accepts.",
        example='batch_size: "4"               # wrong: text\nbatch_size: 4                 # right',
    ),
    Code(
        code="S105",
        title="A field is missing",
        why="Without it nothing can be said: a spec needs its document and claims, a scenario its model "
        "and method, a claim its quantity and the place in the document.",
        repair="Add the field at the place that is named.",
        example='- quote: "needs {}"           # wrong: what is claimed?\n'
        '- {quantity: peak_memory, scenario: full, quote: "needs {}"}',
    ),
    Code(
        code="S106",
        title="A value that YAML readers understand differently",
        why="To YAML 1.1 `12:30` is 750, `no` is false, `1_000` is 1000 and `017` is 15; to YAML 1.2 they"
        " are texts, or 17. A number or a truth value that depends on the reader is refused.",
        repair="Write numbers in plain digits, truth values as `true` or `false`, and text in quotes.",
        example="amp: yes                      # wrong\namp: true                     # right",
    ),
    Code(
        code="S107",
        title="Unknown name",
        why="No model, GPU, dtype, optimizer, quantity or trainer of that name is known. It is never "
        "taken for something else.",
        repair="Write the known name that is nearest. A model that is not known is added by `toolkit models "
        "add ID`, or given as the path of its config.json.",
        example="weights: float32              # wrong\nweights: fp32                 # right",
    ),
    Code(
        code="S108",
        title="Nothing of that name in this spec",
        why="A claim or a field refers to a scenario, a value, a row or a column that the spec does not have.",
        repair="Correct the name, or add what it refers to.",
        example="scenarios: {qlora: {...}}\nclaims:\n  - {scenario: q-lora, ...}   # wrong: qlora",
    ),
    Code(
        code="S109",
        title="A path that leads out",
        why="The path is absolute, or leads out of the folder that is checked, be it by `..` or by a "
        "symbolic link. A spec that a stranger wrote may not read files elsewhere.",
        repair="Write a relative path to a file of the repository, with `/` between its parts.",
        example="document: /home/me/guide.md   # wrong\ndocument: ../docs/guide.md    # right",
    ),
    Code(
        code="S110",
        title="A profile narrowed without a quote, or widened",
        why="What a reader would assume for a field that the document leaves open belongs to the toolkit,"
        " so that no spec can choose assumptions under which its document is right. A list or range "
        "of a spec has to be what the document says.",
        repair="Quote the words that say so under `quotes`. They may lie outside the profile only if the "
        "quote points at the values themselves with a slot.",
        example='batch_size: {from: 1, to: 2}\nquotes:\n  batch_size: "a batch of {1 to 2} sequences"',
    ),
    Code(
        code="S111",
        title="A file that cannot be read",
        why="The file or folder does not exist, may not be read, or is not UTF-8. A check that could not "
        "look is never a pass.",
        repair="Correct the path, the permissions, or the encoding.",
        example="toolkit check spec/           # wrong: the folder is specs/",
    ),
    Code(
        code="S112",
        title="Too large, too deep, or written by reference",
        why="A spec has limits, so that no file can make the check slow. Anchors, aliases, tags and merge"
        " keys are refused: a short file could stand for an endless one, and its places for nothing.",
        repair="Split the file. Say what is common once: by `defaults`, by `extends`, or by a group of claims.",
        example="qlora:\n  <<: *full                   # wrong\n  extends: full               # right",
    ),
    Code(
        code="S113",
        title="Fields that contradict each other",
        why="They cannot be true together: quantized weights that are all trained, a generated length in "
        "training, a claim that is a group, too.",
        repair="Delete or correct the one that the document does not say.",
        example="method: full\nweights: nf4                  # wrong: 4-bit weights are not trained",
    ),
    Code(
        code="S114",
        title="No specs found",
        why="No file called claims.yaml or *.claims.yaml is there. A run that checked nothing is not a pass.",
        repair="Name the folder of the specs, or write one.",
        example="toolkit check docs/           # wrong, if the specs are in specs/",
    ),
    Code(
        code="S115",
        title="A key of another tool's configuration that is not followed",
        why="It moves memory in a way that no formula here covers: another loss, another method of adapting, parts "
        "of the model in main memory. An estimate that leaves it out would be one of another run.",
        repair="As an error it stops the reading: delete the key to see the estimate without it. As a warning the "
        "estimate is made without it, and the message says what is counted instead.",
        example="qat: {}                       # quantizes while it trains",
    ),
    Code(
        code="S116",
        title="A key of another tool's configuration that is not read",
        why="Nothing here knows the key, so that it may move memory or not. Most often it is misspelled, or new in "
        "the tool.",
        repair="Correct it, if the message names the key that is meant. Otherwise check that it moves no memory.",
        example="gradient_chekpointing: true   # meant: gradient_checkpointing",
    ),
)
