"""Where LoRA's forms in which a matrix is frozen, or of blocks, are followed; all else is refused by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from packaging.version import Version

from toolkit.memory.architecture.model import ModuleKind
from toolkit.memory.libraries.versions import older
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.weights.adapter import Adapter
from toolkit.spec.fields.names import BITSANDBYTES, FLOATS, LORA_FA, QUANTIZED
from toolkit.spec.settings.setting import Lora, Setting

TRAINERS = frozenset({"plain", "transformers", "trl"})
"""Trainers that run peft's code as it is."""

UNMERGED_WITH = ("none", "ddp", "pipeline")
"""Strategies with which peft puts each adapter beside its layer, which one GPU has whole."""
ADDS_ANEW = Version("0.9")
"""Before, peft added what an adapter gives to what its layer gives in place."""
UNMERGED_STORAGE = (*FLOATS, *BITSANDBYTES, "mxfp4")
"""Stored forms of weights to whose products peft adds as is known here (tuners/lora/layer.py, bnb.py).

Of MXFP4 experts alone are packed, and none of their adapters is matched by the name of a linear.
"""


def refuse_form(setting: Setting) -> None:
    """Raise where a setting asks for what a frozen matrix or one of blocks is not followed with."""
    for what, applies in _unfollowed(setting):
        if applies:
            raise UnsupportedRow("adapters", f"no rule for {what} yet")


def refuse_unmerged(setting: Setting) -> None:
    """Raise where no formula says how adapters that are not merged into the weights answer."""
    if setting.trains:
        return
    strategy = setting.parallel.strategy
    for what, applies in (
        (f"{setting.stack.trainer} and", setting.stack.trainer not in TRAINERS),
        (f"strategy {strategy} and", strategy not in UNMERGED_WITH),
        (f"kernels {setting.kernels.adapters} and", setting.kernels.adapters is not None),
        (f"{setting.weights} weights and", setting.weights not in UNMERGED_STORAGE),
        (f"peft before {ADDS_ANEW} and", older(setting, "peft", ADDS_ANEW)),
    ):
        if applies:
            reason = f"no rule for {what} adapters that are not merged yet; of merged ones a scenario says nothing"
            raise UnsupportedRow("adapters", reason)


def refuse_forms_of(adapters: Iterable[Adapter], lora: Lora) -> None:
    """Raise for modules on which peft has no such forms, or no rule follows them."""
    for adapter in adapters if lora.frozen or lora.blocks > 1 else ():
        narrow = min(adapter.module.in_features, adapter.module.out_features)
        if adapter.module.kind is not ModuleKind.LINEAR or adapter.copies > 1 or adapter.ranks > 1:
            raise UnsupportedRow("adapters", f"no rule for {_named(lora)} of {adapter.module.leaf} yet")
        if lora.frozen == "b" and lora.rank > narrow:  # tuners/lora/layer.py, mica_init
            reason = f"peft refuses a rank of {lora.rank} on {adapter.module.leaf}, which has {narrow}"
            raise UnsupportedRow("adapters", reason)


def _unfollowed(setting: Setting) -> Iterator[tuple[str, bool]]:
    lora = setting.lora
    if lora is None or not (lora.frozen or lora.blocks > 1):
        return
    said = _named(lora)
    yield f"{said} in another trainer than peft's own: {setting.stack.trainer}", setting.stack.trainer not in TRAINERS
    yield f"{said} and kernels of adapters", setting.kernels.adapters is not None
    yield f"{said} and {setting.weights} weights", setting.weights in QUANTIZED and lora.frozen != "a"
    yield f"{said} and DoRA", lora.dora
    yield f"{said} and biases of adapters", lora.bias
    yield f"{said} with {setting.parallel.strategy}", setting.trains and setting.parallel.strategy != "none"
    yield "blocks and a frozen matrix", bool(lora.frozen) and lora.blocks > 1
    yield "lora_fa and steps in backward", setting.optimizer == LORA_FA and setting.optimizer_in_backward


def _named(lora: Lora) -> str:
    return f"a frozen {lora.frozen.upper()}" if lora.frozen else "matrices of blocks"
