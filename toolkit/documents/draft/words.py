"""Words that change what a figure means, beyond the fields of a drafted scenario."""

from __future__ import annotations

import re
from typing import Final

_SHARED: Final = (
    r"\b(?:cpu|ram|disk|nvme)[- ]?off-?load\w*|\boff-?load\w*|\bfsdp\w*|\bdeepspeed|\bzero(?:[- ]?[123]"
    r"|[- ]offload|[- ]infinity)\b"
    r"|\bshard\w*|\b(?:tensor|pipeline|data|model|sequence|expert|context)[- ]parallel\w*|\bmulti-?(?:gpu|node|card)\w*"
    r"|\bddp\b|\b\d{1,4}\s?[x×*]\s?(?=(?:nvidia|geforce|tesla|amd|rtx|gtx|[abhlvt]\d{1,3}\b|gh?\d|mi\d|[34]0\d0"
    r"|\d{2,3}\s?gb|gpu|card))"
    r"|\b(?:gpus?|cards?|\d{2}gb|[1-5]0[5-9]0|[ahlvbt]\d{1,3}|ti|super|pcie"
    r"|sxm\d?)\)?\s?[x×]\s?\d{1,3}\b(?!\s?(?:\.|bytes?|b\b|\d|param))|\b(?:two|three|four|eight|several"
    r"|multiple|[2-9]|\d{2,4})"
    r"(?:\s(?!(?:on|in|for|with|per|of|at|to|and|or)\b)[\w-]+){0,2}\s(?:gpus|cards)\b|\bnvlink\b|\bclusters?\b"
    r"|\bnodes?\b"
)
_APART: Final = (
    r"\bper[- ](?:gpu|device|card|rank|layer|token|sequence|request|user|sample|head|block|step|worker|replica"
    r"|expert|million"
    r"|billion)\b|/\s?(?:gpu|device|token|layer|param\w*|sequence|request)\b|\beach\b|\bcombined\b"
    r"|\baltogether\b|\badditional\w*"
    r"|\bextra\b|\bapiece\b|\badds?\b|\bplus\b|\bfree\b|\bleft\b|\bremaining\b|\bavailable\b|\bspare\b|\bheadroom\b"
)
_ENGINES: Final = (
    r"\bunsloth\w*|\bliger\w*|\bvllm\b|\btgi\b|\btext-generation-inference|\bsglang\b|\bllama[._]?cpp\b"
    r"|\bgg(?:uf|ml)\b|\bollama\b"
    r"|\bexl(?:lama\w*|[23])\b|\bmlc\b|\bmlx\b|\btensorrt\w*|\blmdeploy\b|\bctranslate\w*|\bonnx\w*"
    r"|\bopenvino\b|\btorchtune\b"
    r"|\blit-?gpt\w*|\bmegatron\w*|\bnemo\b|\bjax\b|\btpus?\b|\bmps\b|\bapple\b|\bmacs?(?:book\w*|os)?\b"
    r"|\bm[1-5] (?:pro|max|ultra)\b"
    r"|\bcolossal\w*|\blm studio\b|\bkobold\w*|\boobabooga|\bwebui\b|\brocm\b|\bdirectml\b|\bchatglm\.cpp"
    r"|\bfastertransformer"
    r"|\baqlm\b|\bhqq\b|\beetq\b|\bquip\w*|\btorchao\b|\bquanto\b|\bsmoothquant\b|\bspqr\b|\bqat\b"
)
_TRAINERS: Final = (
    r"\b8[- ]?bit (?:adam\w*|optimi\w+)|\badam\w*[-_ ]?8[- ]?bit|\bpaged\b|\bpaged_\w+|\badafactor\b|\blion\b"
    r"|\bsgd\b|\bq?galore\b|\bmuon\b"
    r"|\blomo\b|\badalomo\b|\bapollo\b|\bbadam\b|\blisa\b|\bdora\b|\bqdora\b|\bia3\b|\bvera\b|\bloftq\b"
    r"|\bloha\b|\blokr\b"
    r"|\boft\b|\bprefix\b|\bprompt[- ]tun\w+|\bp-tuning\w*|\bqa-lora\b|\brelora\b|\bllama-?adapter\b"
    r"|\blayer-?wise\b|\bfp8\b"
    r"|\brlhf\b|\bppo\b|\bdpo\b|\bgrpo\b|\borpo\b|\bkto\b|\breward\b|\bpre-?train(?:ing)?\b|\bmodules_to_save\b"
)
_MODELS: Final = (
    r"\bfreez\w+|\bfrozen\b|\bmixture\b|\bmoe\b|\bactive param\w*|\bactivated\b|\bvision\b|\bmulti-?modal\b"
    r"|\bdraft\b|\bspeculative\b|\bdistill\w*"
    r"|\bprun\w+|\bencoder\b|\bvocab\w*|\bembedding\w*|\bper expert\b|\bexperts\b|\bvae\b|\bunet\b"
    r"|\bdiffusion\b|\bteacher\b"
    r"|嵌入|词表|视觉|编码器|每层|每个|单层|专家|多卡|卸载"
)

OWN: Final = re.compile("|".join((_SHARED, _APART, _ENGINES, _TRAINERS, _MODELS)), re.IGNORECASE)
"""What changes a figure, said of it itself: in its sentence, its labels or the headings over it."""

AROUND: Final = re.compile("|".join((_SHARED, _ENGINES, _TRAINERS)), re.IGNORECASE)
"""What may change every figure of a section, or of a document that speaks of it at its beginning."""

COMPARES: Final = re.compile(
    r"\b(?:vs\.?|versus|instead of|rather than|compared (?:to|with)|down (?:to|from)|up from|from\b.{1,60}\bto"
    r"|reduc\w+|sav(?:es?|ing|ings|ed)"
    r"|less|fewer|lower|more|increas\w+|decreas\w+|drops?|cuts?|halv\w+|doubl\w+|than)\b|→|->|=>",
    re.IGNORECASE,
)
"""Words that set two situations against each other in one sentence."""

CARD_SIZE: Final = re.compile(
    r"\brecommend\w*|\bminimum\b|\bmin\b|\bat least\b|\bideal\w*|\bsuggest\w*|\benough\b|\bsufficient\b"
    r"|\bcomfortabl\w*|\bshould\b|\bprefer\w*"
    r"|\bgood to go\b|\bgpus?\s+with\b|\bcards?\s+with\b|\bmachine with\b|\bclass\b|\btier\b|\bbudget\b"
    r"|\bor (?:more|better|higher)\b|\bany\b",
    re.IGNORECASE,
)
"""Words by which an amount is that of a card to have, which may have more than is used."""

NEGATES: Final = re.compile(
    r"\b(?:not|no|never|cannot|can't|can’t|won't|won’t|doesn't|doesn’t|don't|don’t|isn't|isn’t|unable|without"
    r"|too|hardly|barely|unless|if|only"
    r"|when|once|would|could|might|may|almost|nearly|otherwise|fails?|oom|out of memory|exceed\w*|impossible"
    r"|neither|nor|except|but"
    r"|trick\w*|hope\w*|try|trying|attempt\w*|aim\w*|goal|target)\b|\?",
    re.IGNORECASE,
)
"""Words that deny a statement, or make it one of another case than the one at hand."""

TRAINING: Final = re.compile(
    r"(?<![\w./-])(?:re-?)?train(?:s|ed|ing|able)?(?![\w/])|\bfine-?tun(?:e[sd]?|ing)(?![\w/])|\bq?-?lora\b"
    r"|\bsft\b|微调|訓練|训练",
    re.IGNORECASE,
)
"""Words of training; "pre-trained" and the names of files are none."""

SERVES: Final = re.compile(r"\b(?:inference|serv(?:e|es|ing))\b|推理", re.IGNORECASE)
GIGABYTE: Final = {
    "decimal": re.compile(
        r"\b1 ?GB ?(?:[=≈]|is|equals|means) ?\(?(?:10\^9|10\^\{9\}|10⁹|10\*\*9|1,?000,?000,?000)\)? ?bytes\b",
        re.IGNORECASE,
    ),
    "binary": re.compile(
        r"\b1 ?GB ?(?:[=≈]|is|equals|means) ?\(?(?:2\^30|2\^\{30\}|2³⁰|2\*\*30|1024\^3|1024³"
        r"|1,?073,?741,?824)\)? ?bytes\b",
        re.IGNORECASE,
    ),
}
"""How a document says what its GB is."""

SIZES: Final = re.compile(r"(?<![\w.])(\d{1,4}(?:\.\d{1,2})?) ?-?[bB](?![A-Za-z0-9])")
"""Sizes of models: "7B", "13b"."""

FORMATS: Final = {
    "nf4": re.compile(r"\bnf4\b|\bbitsandbytes\b|\bbnb\b|load_in_[48]bit|\bqlora\b|llm\.int8", re.IGNORECASE),
    "other": re.compile(
        r"\bgptq\w*|\bawq\b|\bgg(?:uf|ml)\b|\bq[2-8]_\w+|\bexl(?:lama\w*|[23])\b|\bllama[._]?cpp\b|\bollama\b"
        r"|\bmlx\b|\bmxfp4\b|\bint4\b|\bhqq\b"
        r"|\baqlm\b|\bw4a16\b|\bcpm_kernels\b|\.quantize\(",
        re.IGNORECASE,
    ),
}
"""Forms of weights in four or eight bits, told apart: those of bitsandbytes, and all others."""
