"""What transformers keeps in memory, by version. Read in the sources of 4.39.3 to 4.57.1 and 5.23.

A stack that names no version is the newest.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from packaging.version import Version

from toolkit.frozen import frozen
from toolkit.memory.architecture import Architecture
from toolkit.memory.architecture.mamba import FAMILIES as MAMBAS
from toolkit.memory.libraries.versions import package_version
from toolkit.spec.fields.evaluation import NO_LABELS
from toolkit.spec.fields.result import OWN_LOOP, UNTIL_END, UNTIL_NEXT
from toolkit.spec.settings.setting import Setting

PACKAGE = "transformers"

GENERATION_UPCASTS_UNTIL = Version("4.45")
"""Generation formed the logits of the whole prompt, and a float32 copy of them."""
TRAINING_UPCASTS_UNTIL: Mapping[str, Version] = {"mistral": Version("4.48")}
UPCASTS_UNTIL = Version("4.46")
FLOAT_LOGITS = frozenset({"nemotron_h", *MAMBAS})
"""Families whose code makes logits float32 in all versions (modeling_nemotron_h.py, modeling_mamba.py)."""
"""The model itself made the logits float32 before the loss, and let the 16-bit ones go; in one family for longer."""
LOSS_SHIFTS_UNTIL = Version("4.50")
"""The loss was taken on a contiguous copy of all logits but the last."""
SDPA_NATIVE_FROM = Version("4.36")
CONVERTED = frozenset({"llama"})
"""Families that attend by sdpa themselves since then; before, optimum's BetterTransformer has them do so."""
SDPA_REPEATS_UNTIL = Version("4.54")
"""sdpa was given keys and values repeated for every query head."""
PACKS_GROUPS_FROM = Version("5.23")
"""sdpa with a mask packs a single token's queries by their keys, which it repeated before (pack_gqa)."""
PROBABILITIES_BOUND_FROM = Version("4.48")
"""Layers keep a name for the probabilities of eager attention; before, attention let them go unless asked for them."""
RETURNS_PROBABILITIES: Mapping[str, tuple[Version, Version]] = dict.fromkeys(
    ("bert", "camembert", "electra", "roberta", "xlm-roberta"), (Version("4.54"), Version("5"))
)
"""Encoders whose eager attention gave its probabilities back unasked, so that layers kept them until they returned: not
in 4.53.3, in 4.54.1 and 4.57.1 (modeling_bert.py, BertSelfAttention.forward, `return context_layer, attention_probs`).
Since 5 all encoders' layers keep them, and their loop does not keep those of the layer before."""
HOOKS_EACH_FROM = Version("5.0")
"""Since then checkpoints beside frozen weights make the input of every stack require a gradient, and not only what the
whole model calls its embeddings (modeling_utils.py, enable_input_require_grads)."""
CACHE_COPIES_FROM = Version("4.56")
"""A cache copies the keys and values of a prompt; before, it kept them as they were (cache_utils.py, DynamicLayer)."""
CACHES_FROM, WINDOWS_FROM = Version("4.36"), Version("4.56")
KEEP_ALL = frozenset({"mistral", "mixtral", "phi3", "qwen2", "qwen2_moe", "starcoder2"})
"""Families whose cache between these two kept all tokens of a layer with a window, too (cache_utils.py, DynamicCache;
since then DynamicSlidingWindowLayer); before, flash attention cut keys and values to the window."""
SLICES_UNTIL = Version("4.48")
"""With flash attention each of their layers copied the keys and values of its window beside (modeling_mistral.py,
MistralFlashAttention2, past_key[:, :, slicing_tokens:, :].contiguous()), and held the copies unused."""
FLASH_REPEATS_UNTIL = Version("4.48")
"""So was flash attention, in some families."""
FLASH_REPEATING = frozenset({"mistral", "mixtral", "qwen2", "qwen2_moe", "qwen3_moe", "phi3"})
EXPANDED_UNTIL: Mapping[str, Version] = {
    "deepseek_v2": Version("5.15"), "deepseek_v3": Version("5.15"), "glm4_moe_lite": Version("5.15"),
    "mistral4": Version("5.15"), "deepseek_v32": Version("5.18"), "glm_moe_dsa": Version("5.18"),
}  # fmt: skip
"""A cache had the keys and values of every head as they came out of the latent; since then it has the latent alone
(modeling_deepseek_v3.py and others, Attention.forward, past_key_values.update)."""
ROTARY_CACHED_UNTIL: Mapping[str, Version] = {
    "falcon": Version("4.45"),
    "gpt_neox": Version("4.45"),
    "llama": Version("4.41"),
    "mistral": Version("4.42"),
    "mixtral": Version("4.48"),
    "persimmon": Version("4.45"),
    "phi": Version("4.45"),
    "qwen2": Version("4.45"),
    "qwen2_moe": Version("4.45"),
    "stablelm": Version("4.45"),
    "starcoder2": Version("4.45"),
}
"""Every layer kept cosines and sines of all positions."""
ONE_MASK: Mapping[str, tuple[Version, Version]] = dict.fromkeys(("gemma", "llama"), (Version("4.38"), Version("4.39")))
"""The releases in which the model kept one mask of all pairs of positions, a buffer (causal_mask).

Each pass made one of the model's dtype for every sequence, each layer copied what it attends to, and sdpa was given
that and contiguous heads (modeling_llama.py, _update_causal_mask and LlamaSdpaAttention).
"""
WIDE_MASK_UNTIL = Version("4.38.2")
"""Until then of 64-bit integers, for torch.full had no dtype. Llama's layers kept no angles until then either, but
those of the last pass (modeling_llama.py, LlamaRotaryEmbedding.forward, _cos_cached)."""
LAST_ANGLES: Mapping[str, tuple[Version, Version]] = {"llama": (Version("4.38"), WIDE_MASK_UNTIL)}
WIDE_ANGLES_UNTIL: Mapping[str, Version] = {"gpt_neox": Version("4.45")}
"""Queries and keys came out of rotary embedding in float32, as its tables were, and were cached so; eager attention
worked on them as they were, sdpa on 16-bit copies (modeling_gpt_neox.py)."""
MASKS_KEPT_UNTIL: Mapping[str, Version] = {"gpt2": Version("5.2"), "gpt_neox": Version("4.49")}
"""Every layer kept a causal mask of all pairs of positions."""
NARROW_SOFTMAX_UNTIL: Mapping[str, Version] = {"gpt_neox": Version("4.49")}
"""Eager attention took the softmax in the dtype of the scores; since then, as others do, in float32."""
HOLDS_RESULT_UNTIL = Version("4.42")
"""Generation kept the result of a step, logits of the prompt and all, until the next had its own (no `del outputs`)."""
TUPLES_UNTIL = HOLDS_RESULT_UNTIL
OWN_TUPLES_UNTIL: Mapping[str, Version] = {
    "biogpt": Version("4.56"),
    "bloom": Version("4.44"),
    "codegen": Version("4.45"),
    "falcon": Version("4.45"),
    "gpt2": Version("4.52"),
    "gpt_bigcode": Version("4.54"),
    "gpt_neo": Version("4.45"),
    "gpt_neox": Version("4.45"),
    "gptj": Version("4.45"),
    "opt": Version("4.49"),
    "qwen": Version("5"),
}
"""Models got and gave keys and values as tuples, which generation keeps: some until they took a Cache to fill."""
_FIRST, _LATER, _LAST = Version("4.48"), Version("4.54"), Version("4.56")
LOOP_TUPLES_UNTIL: Mapping[str, Version] = {
    **dict.fromkeys(("cohere", "gemma", "glm", "granite", "llama", "mistral", "mixtral"), _FIRST),
    **dict.fromkeys(("olmo", "olmo2", "phi", "phi3", "qwen2", "starcoder2"), _FIRST),
    "gpt_neox": Version("4.49"),
    **dict.fromkeys(("bloom", "codegen", "falcon", "gpt_neo", "gptj", "olmoe", "opt", "qwen2_moe", "stablelm"), _LATER),
    **dict.fromkeys(("biogpt", "gpt2", "gpt_bigcode"), _LAST),
    "qwen": Version("5"),
}
"""Whoever called the model without a Cache got its keys and values as tuples (return_legacy_cache), for longer than
generation, which handed it a Cache of its own. Read in 4.36.2 to 4.56.2, modeling_*.py."""
SDPA_CAPS_UNTIL = Version("5.21")
"""Gemma 2 ran sdpa where it was asked for, and left its caps of scores out; since then it writes the scores out."""
T5_OWN_ATTENTION_UNTIL = Version("5.15")
"""T5 wrote out its scores whatever was asked for; since then it attends by sdpa, with its bias as a mask."""
LAYS_BIASES_OUT_FROM = Version("5.20")
"""sdpa is given a contiguous bias of positions; before, torch padded its rows, which ran the other way."""
NEWEST_THAT_RUNS: Mapping[str, Version] = {"qwen": Version("4.37.2")}
"""Of models whose code is not of transformers, the newest version that their README admits (Qwen: below 4.38)."""
GIVES_BIASES_UNTIL = Version("4.53")
"""Before masking_utils.py, the mask of padded rows was of the model's dtype, which sdpa takes as it is (the
_prepare_4d_causal_attention_mask_for_sdpa of modeling_attn_mask_utils.py, or the model's _update_causal_mask); eager
attention in some families added one that is as long as a row."""
MASKED_BEFORE = frozenset(
    ("albert", "bert", "biogpt", "bloom", "camembert", "cohere", "distilbert", "electra", "gemma", "gemma2",
     "gemma3_text", "glm", "gpt2", "gpt_neox", "granite", "llama", "mistral", "olmo", "olmo2", "opt", "phi", "phi3",
     "qwen2", "qwen3", "roberta", "smollm3", "stablelm", "starcoder2", "xlm-roberta")
)  # fmt: skip
"""Families whose masks of padded rows are followed in the releases before 5, too."""
MASKED_FROM: Mapping[str, Version] = {"gemma2": Version("4.48")}
"""Of these, the first release whose masks are followed."""
SHAPES_UNTIL: Mapping[str, Version] = {"biogpt": Version("4.52"), "opt": Version("4.49")}
"""Families whose attention laid heads before positions, in copies, before it cached keys (BART's _shape)."""
LAYS_OUT_UNTIL = Version("4.56")
"""sdpa was given contiguous copies of queries, keys and values, by what all these families call since the releases of
LAYS_OUT_FROM (integrations/sdpa_attention.py)."""
LAYS_OUT_FROM: Mapping[str, Version] = {
    **dict.fromkeys(("cohere", "cohere2", "gemma", "gemma2", "glm", "gpt2", "granite", "llama"), Version("4.48")),
    **dict.fromkeys(("mistral", "mixtral", "olmo", "olmo2", "phi", "phi3", "qwen2", "starcoder2"), Version("4.48")),
    **dict.fromkeys(("gpt_neox", "helium"), Version("4.49")),
    **dict.fromkeys(("gemma3", "gemma3_text"), Version("4.50")),
    **dict.fromkeys(("glm4", "qwen3", "qwen3_moe"), Version("4.51")),
    **dict.fromkeys(("biogpt", "opt"), Version("4.52")),
    **dict.fromkeys(("arcee", "ernie4_5", "exaone4", "smollm3"), Version("4.53")),
}
MASKS_IMAGES_UNTIL: Mapping[str, Version] = {"gemma4_text": Version("5.13")}
"""Families whose code made masks that let images be seen whole, with or without images; since then it does where the
batch says which tokens are an image's (modeling_gemma4.py, Gemma4Model.forward, mm_token_type_ids)."""
CLAMPS_UNTIL: Mapping[str, Version] = {"opt": Version("4.49")}
"""Families whose eager attention took the maximum of scores and the lowest number."""
ROW_MASKS_UNTIL: Mapping[str, Version] = {"gpt2": Version("4.53"), "gpt_neox": Version("4.45")}
"""Families whose eager attention did: their causal mask is a buffer of each layer."""
OWN_LOSS_UNTIL: Mapping[str, Version] = {
    "biogpt": Version("4.48.3"),
    "bloom": Version("4.48.3"),
    "falcon": Version("4.48.3"),
    "gpt2": Version("4.48.3"),
    "gpt_bigcode": Version("4.48.3"),
    "gpt_neox": Version("4.49"),
    "opt": Version("4.48.3"),
    "qwen": Version("5"),
    "stablelm": Version("4.48.3"),
}
"""Families that took the loss on a shifted copy of the logits in their own dtype: those of others were made float32."""
ALL_LOGITS_UNTIL: Mapping[str, Version] = {
    "biogpt": Version("4.56"),
    "bloom": Version("5"),
    "falcon": Version("4.47"),
    "gpt2": Version("4.53"),
    "gpt_bigcode": Version("5"),
    "gpt_neox": Version("4.49"),
    "opt": Version("5"),
    "qwen": Version("5"),
    "stablelm": Version("4.45"),
}
"""Families that formed the logits of the whole prompt to generate, and made none but the last float32."""
CLONES_FROM, CLONES_UNTIL = Version("4.45"), Version("4.47")
"""Between them generate() cloned all logits that a pass gave, and took the last of them of the clone: a view, where
they were float32 (generation/utils.py, _sample: outputs.logits.clone()[:, -1, :].float())."""
CACHES_UNTIL: Mapping[str, Version] = {"gpt_bigcode": Version("4.53")}
"""Families whose layers give their keys to a cache in training too, checkpointed or not; others turn it off then."""

FROM_LOGITS = "from-logits"
"""The loss of a loop that gives the model no labels."""
UNLABELLED = "training without labels"
"""The model gives logits as it does to generate; a loop of its own takes the loss."""
ALONE = "a pass alone"
"""A loop of somebody's own calls the model once: nobody asks for the logits of the last token alone."""
DECODING = "decoding"
"""Such a loop calls it on the prompt, and then on each token; what follows says how long it holds results."""


@frozen
class Behaviour:
    """What the version of a setting does."""

    upcasts_early: bool
    shifts: str
    repeats: bool
    packs_groups: bool
    caches_rotary: bool
    last_angles: bool
    one_mask: str
    keeps_masks: bool
    narrow_softmax: bool
    wide_angles: bool
    holds_result: bool
    keeps_prompt: bool
    hands_on_tuples: bool
    binds_probabilities: bool
    returns_probabilities: bool
    copies_into_cache: bool
    keeps_all: bool
    slices: bool
    caches_in_training: bool
    own_head: bool
    clones_logits: bool
    t5_attends: str
    gives_biases: bool
    shapes: bool
    lays_out: bool
    clamps: bool
    row_masks: bool
    lays_biases_out: bool
    sdpa_caps: bool
    masks_none: bool
    caches_expanded: bool
    converted: str
    hooks_each: bool


def behaviour(architecture: Architecture, setting: Setting) -> Behaviour:
    """What the version of transformers that a setting names does with a model."""
    version, several = package_version(setting, PACKAGE), setting.batch_size > 1
    what = ALONE if is_alone(setting) else "inference"
    if decodes_itself(setting):
        what = DECODING + (setting.stack.result or UNTIL_NEXT)
    if setting.evaluation != NO_LABELS:
        what = "training"  # the branch of the model's code that takes the loss
    if setting.trains:
        what = UNLABELLED if setting.stack.loss == FROM_LOGITS else "training"
    return _behaviour(architecture.family, version, what, setting.attention, several, setting.generated_length > 0)


def is_alone(setting: Setting) -> bool:
    """Whether a loop of somebody's own calls the model on the prompt and generates nothing: it gets all logits."""
    return not setting.trains and setting.stack.trainer == "plain" and setting.generated_length == 0


def decodes_itself(setting: Setting) -> bool:
    """Whether a loop of somebody's own calls the model on a prompt, and then on one token after the other."""
    return not setting.trains and setting.stack.trainer == OWN_LOOP and setting.generated_length > 0


@lru_cache(maxsize=256)
def _behaviour(
    family: str, named: Version | None, what: str, attention: str, several: bool, generates: bool
) -> Behaviour:
    version = named if named is not None else NEWEST_THAT_RUNS.get(family)

    def before(other: Version) -> bool:
        return version is not None and version < other

    def within(releases: Mapping[str, tuple[Version, Version]]) -> bool:
        return family in releases and not before(releases[family][0]) and before(releases[family][1])

    last_angles = within(LAST_ANGLES)
    decodes = what.startswith(DECODING)
    trains, unlabelled = what not in ("inference", ALONE) and not decodes, what == UNLABELLED
    tuples = LOOP_TUPLES_UNTIL if decodes else OWN_TUPLES_UNTIL
    training = TRAINING_UPCASTS_UNTIL.get(family, UPCASTS_UNTIL)
    owns = (OWN_LOSS_UNTIL if trains and not unlabelled else ALL_LOGITS_UNTIL).get(family)
    owned = owns is not None and before(owns)
    upcasts = training if trains and not unlabelled else GENERATION_UPCASTS_UNTIL
    repeats = family in FLASH_REPEATING and before(FLASH_REPEATS_UNTIL)
    if attention != "flash":
        repeats = before(SDPA_REPEATS_UNTIL)
    keeps_all = family in KEEP_ALL and not before(CACHES_FROM) and before(WINDOWS_FROM)
    converts = attention == "sdpa" and family in CONVERTED and before(SDPA_NATIVE_FROM)
    return Behaviour(
        upcasts_early=(before(upcasts) and not owned) or (trains and family in FLOAT_LOGITS),
        shifts=_shifts(several) if owned or unlabelled or before(LOSS_SHIFTS_UNTIL) else "",
        repeats=repeats,
        packs_groups=not before(PACKS_GROUPS_FROM),
        caches_rotary=family in ROTARY_CACHED_UNTIL and before(ROTARY_CACHED_UNTIL[family]) and not last_angles,
        last_angles=last_angles,
        one_mask=("int64" if before(WIDE_MASK_UNTIL) else "bool") if within(ONE_MASK) else "",
        keeps_masks=family in MASKS_KEPT_UNTIL and before(MASKS_KEPT_UNTIL[family]),
        narrow_softmax=family in NARROW_SOFTMAX_UNTIL and before(NARROW_SOFTMAX_UNTIL[family]),
        wide_angles=family in WIDE_ANGLES_UNTIL and before(WIDE_ANGLES_UNTIL[family]),
        holds_result=what == DECODING + UNTIL_NEXT if decodes else before(HOLDS_RESULT_UNTIL),
        keeps_prompt=what == DECODING + UNTIL_END,
        hands_on_tuples=before(tuples.get(family, TUPLES_UNTIL)),
        binds_probabilities=not before(PROBABILITIES_BOUND_FROM),
        returns_probabilities=version is not None and within(RETURNS_PROBABILITIES),
        copies_into_cache=not before(CACHE_COPIES_FROM),
        keeps_all=keeps_all,
        slices=keeps_all and attention == "flash" and before(SLICES_UNTIL),
        caches_in_training=family in CACHES_UNTIL and before(CACHES_UNTIL[family]),
        own_head=owned or unlabelled or what == ALONE or decodes,
        clones_logits=what == "inference" and generates and not before(CLONES_FROM) and before(CLONES_UNTIL),
        lays_biases_out=not before(LAYS_BIASES_OUT_FROM),
        gives_biases=before(GIVES_BIASES_UNTIL),
        shapes=family in SHAPES_UNTIL and before(SHAPES_UNTIL[family]),
        lays_out=within(ONE_MASK)
        or (family in LAYS_OUT_FROM and before(LAYS_OUT_UNTIL) and not before(LAYS_OUT_FROM[family])),
        clamps=family in CLAMPS_UNTIL and before(CLAMPS_UNTIL[family]),
        row_masks=family in ROW_MASKS_UNTIL and before(ROW_MASKS_UNTIL[family]),
        t5_attends="own" if family in ("t5", "mt5") and before(T5_OWN_ATTENTION_UNTIL) else "",
        sdpa_caps=before(SDPA_CAPS_UNTIL),
        masks_none=family in MASKS_IMAGES_UNTIL and not before(MASKS_IMAGES_UNTIL[family]),
        caches_expanded=family in EXPANDED_UNTIL and before(EXPANDED_UNTIL[family]),
        converted=_converted(trains, several) if converts else "",
        hooks_each=not before(HOOKS_EACH_FROM),
    )


def _converted(trains: bool, several: bool) -> str:
    """How a model attends that optimum has converted (bettertransformer/models/attention.py, llama_forward).

    By the model's mask where several sequences generate, else `causal` without one, although the model has made it.
    """
    return "given" if several and not trains else "causal"


def _shifts(several: bool) -> str:
    """How all logits but the last are taken: `contiguous` copies nothing of a single sequence."""
    return "copies" if several else "views"
