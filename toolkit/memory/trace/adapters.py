"""The config of peft that a setting asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from toolkit.memory.architecture.bart import KIN
from toolkit.memory.programs.encoder_decoder import FAMILIES as LIKE_T5
from toolkit.memory.trace.refusal import UnsupportedTrace
from toolkit.memory.trace.stand_ins.operators import standing_in
from toolkit.memory.tuners.methods import feedforward_of
from toolkit.spec.fields.rank_kind import ranks_of
from toolkit.spec.settings.setting import Lora, Peft, Setting

HEARS = "whisper"
READS_AND_WRITES = frozenset({*LIKE_T5, *KIN})
"""Model types of an encoder of text and a decoder."""
TASKS = {
    "causal-lm": "CAUSAL_LM",
    "sequence-classification": "SEQ_CLS",
    "token-classification": "TOKEN_CLS",
    "question-answering": "QUESTION_ANS",
    "masked-lm": None,
    "base": None,
}

CLASSES: Mapping[str, str] = {
    "adalora": "AdaLoraConfig",
    "adamss": "AdamssConfig",
    "adaption_prompt": "AdaptionPromptConfig",
    "beft": "BeftConfig",
    "boft": "BOFTConfig",
    "c3a": "C3AConfig",
    "deft": "DeftConfig",
    "delora": "DeloraConfig",
    "fourierft": "FourierFTConfig",
    "glora": "GloraConfig",
    "gralora": "GraloraConfig",
    "hira": "HiraConfig",
    "hra": "HRAConfig",
    "ia3": "IA3Config",
    "lily": "LilyConfig",
    "ln_tuning": "LNTuningConfig",
    "loha": "LoHaConfig",
    "lokr": "LoKrConfig",
    "miss": "MissConfig",
    "oft": "OFTConfig",
    "osf": "OSFConfig",
    "p_tuning": "PromptEncoderConfig",
    "peanut": "PeanutConfig",
    "prefix_tuning": "PrefixTuningConfig",
    "prompt_tuning": "PromptTuningConfig",
    "psoft": "PsoftConfig",
    "pvera": "PveraConfig",
    "randlora": "RandLoraConfig",
    "road": "RoadConfig",
    "shira": "ShiraConfig",
    "tinylora": "TinyLoraConfig",
    "trainable_tokens": "TrainableTokensConfig",
    "unilora": "UniLoraConfig",
    "vblora": "VBLoRAConfig",
    "vera": "VeraConfig",
    "waveft": "WaveFTConfig",
}
"""The class of each method's config, by the method's name in a scenario."""

OPTION_NAMES: Mapping[tuple[str, str], str] = {
    ("boft", "block_size"): "boft_block_size",
    ("oft", "block_size"): "oft_block_size",
    ("miss", "form"): "init_weights",
    ("adalora", "rank"): "init_r",
    ("adalora", "dropout"): "lora_dropout",
    ("glora", "config_a_b"): "config_A_B",
    ("glora", "config_c"): "config_C",
    ("glora", "config_d_e"): "config_D_E",
    ("lily", "num_b"): "num_B",
    ("lily", "stride_a"): "stride_A",
}
"""What peft calls an option of a method, where a scenario calls it otherwise."""

STEPS = 1_000_000
"""AdaLoRA wants to know how many steps there are; its ranks shrink after those that are looked at."""


def config_of(setting: Setting, family: str) -> Any:
    """The config that get_peft_model takes. Raises UnsupportedTrace where this peft has no such method."""
    import peft

    if setting.lora is not None:
        return _lora(setting, setting.lora, family)
    assert setting.peft is not None
    found = getattr(peft, CLASSES[setting.method], None)
    if found is None:
        raise UnsupportedTrace(f"this version of peft has no {setting.method}")
    return found(task_type=_task(setting, family), **options_of(setting, setting.peft, family))


@contextmanager
def permuted_alike() -> Iterator[None]:
    """BOFT's permutations as matrices of zeros: peft writes each out by the values of its indices."""
    try:
        from peft.tuners.boft.layer import BOFTLayer
    except ImportError:  # older releases have no BOFT
        yield
        return

    def zeros(_: object, indices: Any) -> Any:
        return indices.new_zeros((len(indices), len(indices)), dtype=None).float()

    with standing_in(BOFTLayer, "perm2mat", zeros):
        yield


def _task(setting: Setting, family: str) -> str | None:
    """The task of peft's wrapper: of a model that hears there is none whose forward hands on a sound."""
    if setting.head == "causal-lm" and family in READS_AND_WRITES:
        return "SEQ_2_SEQ_LM"
    return None if family == HEARS else TASKS[setting.head]


def _lora(setting: Setting, lora: Lora, family: str) -> Any:
    import peft

    saved = list(lora.modules_to_save)
    asked = {"use_dora": lora.dora, "lora_bias": lora.bias, "modules_to_save": saved}  # older releases know not all
    asked["init_lora_weights"] = lora.frozen == "b" and "mica"
    asked["use_bdlora"] = lora.blocks > 1 and _blocks(lora)
    return peft.LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha or lora.rank,
        target_modules=lora.targets if isinstance(lora.targets, str) else list(lora.targets),
        lora_dropout=lora.dropout,
        task_type=_task(setting, family),
        **{name: said for name, said in asked.items() if said},
    )


def _blocks(lora: Lora) -> Any:
    from peft.tuners.lora.config import BdLoraConfig

    named = {"target_modules_bd_a": list(lora.blocked_a), "target_modules_bd_b": list(lora.blocked_b)}
    return BdLoraConfig(**named, nblocks=lora.blocks)


def options_of(setting: Setting, peft: Peft, family: str) -> dict[str, Any]:
    """The options of a method as peft names them."""
    method = setting.method
    said: dict[str, Any] = {OPTION_NAMES.get((method, name), name): value for name, value in peft.options}
    if peft.rank is not None:
        said[OPTION_NAMES.get((method, "rank"), "r")] = peft.rank
    if peft.targets is not None:
        said["target_modules"] = peft.targets if isinstance(peft.targets, str) else list(peft.targets)
    if method == "ia3":
        said["feedforward_modules"] = list(feedforward_of(peft, family))
    if method == "miss" and said["init_weights"] == "default":
        said["init_weights"] = True
    if method == "trainable_tokens":
        said["token_indices"] = list(range(said.pop("num_tokens")))
    if method == "adalora":
        said["total_step"] = STEPS
    if method == "osf":
        said["rank_pattern"] = dict(ranks_of(said["rank_pattern"]))
    return said
