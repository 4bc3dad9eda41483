"""Keys of other tools that are known to leave a GPU's memory alone, or that matter only beside one that is read.

Names are those of the tools' own argument classes (transformers training_args.py; TRL trainer/sft_config.py,
trainer/model_config.py, scripts/utils.py; axolotl utils/schemas/; LLaMA-Factory hparams/; torchtune recipes/), of this
and of earlier releases, and of DeepSpeed's settings (deepspeed_keys.py names the sources) that a file holds or names;
one that ends in * stands for a family of keys.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

_ON_TRAINING_ARGUMENTS = ("transformers", "trl", "llamafactory")


@cache
def irrelevant(tool: str) -> frozenset[str]:
    """The irrelevant keys of a tool, with those of transformers' TrainingArguments where the tool accepts them."""
    keys = json.loads((Path(__file__).parent / "irrelevant.json").read_text("utf-8"))
    shared = keys["transformers"] if tool in _ON_TRAINING_ARGUMENTS else ()
    return frozenset((*keys[tool], *shared, *keys["deepspeed"]))
