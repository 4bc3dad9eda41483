"""Plugins of axolotl: cut cross-entropy's is followed, some leave memory alone, and others change the training.

Sources: axolotl 067b021c, src/axolotl/integrations (grokfast/__init__.py: gradfilter_ema keeps an average of every
gradient; spectrum/__init__.py sets unfrozen_parameters; liger and kernels do what their keys say).
"""

from __future__ import annotations

from collections.abc import Mapping

from toolkit.spec.training_configs.config import Config
from toolkit.spec.yaml.known import shown

CUT = "CutCrossEntropyPlugin"
BY_THEIR_KEYS = frozenset(
    {CUT, "LigerPlugin", "KernelsPlugin", "ExpertParallelPlugin", "SwanLabPlugin", "LMEvalPlugin"}
)
"""Plugins controlled by their own keys, which are read or noted, and plugins that train nothing."""
REFUSED: Mapping[str, str] = {
    "GrokfastPlugin": "keeps an average of all gradients, which is not followed",
    "SpectrumPlugin": "trains some of a model's parameters, which is not followed",
    "KDPlugin": "distils, with a loss of its own, which is not followed",
    "MoraPlugin": "has adapters of its own, which are not followed",
    "DenseMixerPlugin": "runs every expert, which is not followed",
    "DiffusionPlugin": "trains on masked tokens, which is not followed",
    "LLMCompressorPlugin": "trains sparse weights, which is not followed",
    "NemoGymPlugin": "has answers generated and judged, which is not followed",
    "HatcheryPlugin": "trains on another machine, which is not followed",
}
UNKNOWN = "nothing here knows whether it moves memory"


def take_plugins(config: Config) -> bool:
    """Refuses plugins that change the training or are not known; returns whether cut cross-entropy's is there."""
    named = [plugin.rpartition(".")[2] for plugin in config.words("plugins") or ()]
    for name in named:
        if name not in BY_THEIR_KEYS:
            config.matters("plugins", f"{shown(name)}: {REFUSED.get(name, UNKNOWN)}")
    return CUT in named
