"""The words by which the parts of memory are told apart, in the languages that are read."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

COMPONENTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "host_memory": r"(?:system|cpu|host|main|server)[ -](?:ram|memory|mem)\b"
        r"|\bcpu (?:used?|usage)\b|(?<!v)(?<!gpu )(?<!video )\b[ds]?d?ram\b"
        r"|arbeitsspeicher|systemspeicher|mémoire vive|оперативн|(?:系统|主机|运行)内存"
        r"|(?<!gpu)(?<!gpu )(?<!gpu的)(?<!gpu 的)(?<!显卡)"
        r"内存(?!占用)|メインメモリ|cpu内存"
        r"|memória ram|memoria ram",
        "disk": r"\bdis[kc]s?\b|디스크|스토리지|저장 ?(?:공간|장치|용량)|설치 ?용량|almacenamiento"
        r"|armazenamento|stockage|\bstorage\b|\bssd\b|\bnvme\b|\bdownloads?\b|\bswap\b"
        r"|(?<!no )(?<!gradient )(?<!activation )\bcheckpoints?\b"
        r"|on[- ]disk|file ?sizes?|free space|\bgguf\b|磁盘|硬盘|festplatte|speicherplatz|disque|\bdisco\b|ディスク",
        "kv_cache": r"(?<![a-z])k/?v[-_ ]?cach\w*|\bk/?v (?:self )?(?:size|buffer|blocks?)|[0-9] kv\b"
        r"|key[-/ ]value cache|\bcach[eé] kv|kv[- ]?(?:キャッシュ|缓存|кэш)",
        "gradients": r"\bgradients?\b(?! (?:accum|checkpoint))|梯度|勾配|\bgradienten|\bgradientes",
        "optimizer_states": r"\boptimi[sz]ers?\b|\badamw?\b states?|\bmomentum\b"
        r"|优化器|オプティマイザ|optimierer|optimiseur|optimizador|otimizador",
        "activations": r"\bactivations?\b(?! checkpoint)"
        r"|激活|アクティベーション|活性化|aktivierung|activaciones|ativações",
        "overhead": r"\boverheads?\b|cuda[- ](?:context|kernels?|kontext)|contexte cuda|contexto cuda|cuda ?(?:上下文"
        r"|コンテキスト)|\bbuffers?\b|\bscratch\w*|\bctx size|\bworkspaces?\b|fragmentation",
        "master_weights": r"master (?:weights|copy|params|parameters)",
        "adapters": r"\b(?:lora|adapters?|peft)(?: \w+)? (?:weights|param\w*|matrices|adapters?)"
        r"|\badapter (?:size|memory)|\A\W*adapters?\W*\Z",
        "weights": r"\bweights?\b|\A\W*model(?: file)?[\s*_`]*[:：]|模型大小"
        r"|模型体积|モデルサイズ|모델 ?크기"
        r"|taille du modèle|tamaño del modelo|tamanho do modelo|modellgröße|размер модели"
        r"|\blargest layer\b|\bmodel size\b|\bmodel(?: itself)? (?:is|takes|weighs)"
        r"|\bbase model\b|\bquants?\b|\bparameters?\b|\bparams\b|\bloaded\b|\bloading\b|\bquanti[sz]ed\b"
        r"|模型权重|权重|\bgewichte?n?\b|\bpoids\b|\bpesos\b|重み",
        "peak_memory": r"(?<![a-z])v-?ram(?![a-z])|\bgpu[- ](?:memory|ram|mem)\b|\bvideo memory\b|\bpeak(?:s|ed|ing)?\b"
        r"|\bfootprints?\b|\bresident\b|\bgpu(?: ?[0-9])? (?:used?|usage)\b|\ballocated\b|\breserved\b|\bunified\b"
        r"|\bmemory\b|\bmem\b|max_?mem\w*|\w*_mem(?:ory)?(?![A-Za-z])|\bmem(?:ory)?_\w+|\btotal\b"
        r"|显存|顯存|(?:gpu ?|显卡)内存|内存占用|メモリ|메모리|mémoire|\bspeicher|[a-z-]speicher"
        r"|\bmemoria\b|\bmemória\b|памят|hardware requirements?|硬件(?:要求|需求|配置)",
    }
)
"""A pattern for each quantity, the most special first."""
