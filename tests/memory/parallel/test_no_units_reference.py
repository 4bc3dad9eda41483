"""Models that accelerate does not share out layer by layer, against transformers and the code that shards them."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("accelerate")

import transformers
from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

from tests.memory.trace.cut import cut
from toolkit.memory.estimate import estimate
from toolkit.memory.parallel.no_units import NAMED_EMBEDDINGS, NAMED_WITHIN, UNNAMED
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.trace.refusal import UnsupportedTrace
from toolkit.memory.trace.trace import trace
from toolkit.spec.settings.setting import Parallel, Setting, Stack

pytestmark = pytest.mark.reference

BERT, DISTILBERT = "google-bert/bert-base-uncased", "distilbert/distilbert-base-uncased"
MAMBA = "state-spaces/mamba-130m-hf"


def setting(name: str, trainer: str = "transformers", **versions: str) -> Setting:
    head = "causal-lm" if name == MAMBA else "masked-lm"
    return Setting(
        name, "full", "bf16", head=head, batch_size=1, sequence_length=32, parallel=Parallel(2, "fsdp2"),
        stack=Stack(trainer, versions=versions),
    )  # fmt: skip


@pytest.mark.parametrize("family", sorted(UNNAMED))
def test_transformers_names_no_module_of_it(family: str) -> None:
    assert not getattr(transformers, MODEL_MAPPING_NAMES[family])._no_split_modules


@pytest.mark.parametrize("family", sorted(NAMED_EMBEDDINGS))
def test_transformers_names_the_module_of_all_embeddings(family: str) -> None:
    first, *_ = getattr(transformers, MODEL_MAPPING_NAMES[family])._no_split_modules
    assert first.endswith("Embeddings")


@pytest.mark.parametrize("family", sorted(NAMED_WITHIN))
def test_transformers_names_a_layer_and_what_is_in_it(family: str) -> None:
    layer, mixer = getattr(transformers, MODEL_MAPPING_NAMES[family])._no_split_modules
    assert layer.endswith("Block")
    assert mixer.endswith("Mixer")


def test_accelerate_cannot_share_out_what_is_in_two_units() -> None:
    with pytest.raises(UnsupportedTrace, match="accelerate does not share this model out"):
        trace(setting(BERT), cut(BERT, 2))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (BERT, "shards the token embedding of bert twice"),
        (DISTILBERT, "makes one unit of all"),
        (MAMBA, "names its mixers beside its layers"),
    ],
)
def test_formulas_refuse_it_by_name(name: str, reason: str) -> None:
    with pytest.raises(UnsupportedRow, match=re.escape(reason)):
        estimate(setting(name), cut(name, 2))


def test_a_loop_of_ones_own_shards_layers_alone() -> None:
    assert trace(setting(MAMBA, "plain"), cut(MAMBA, 2)).ledger.peak.total > 0
    with pytest.raises(UnsupportedTrace, match="no layers"):
        trace(setting(DISTILBERT, "plain"), cut(DISTILBERT, 2))


@pytest.mark.parametrize(("trainer", "versions"), [("plain", {}), ("transformers", {"accelerate": "1.13.0"})])
def test_a_loop_and_earlier_releases_make_units_of_its_layers(trainer: str, versions: dict[str, str]) -> None:
    assert estimate(setting(BERT, trainer, **versions), cut(BERT, 2)).allocated > 0
