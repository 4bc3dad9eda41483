"""How the encoders of each family are put together: the names of their linears, and in what they differ from BERT's."""

from __future__ import annotations

from collections.abc import Mapping

from toolkit.frozen import frozen


@frozen
class EncoderLayout:
    """The linears of a layer by the ends of their paths, those of the heads by their paths, and the form between them.

    `dense` and `out` are a classifier's, `drops_first` that dropout comes before `dense` too; `pooler` is what a model
    without a head ends in. `transform` and `decoder` are the masked head's, `head_activation` None where it is the
    layers'. `compact` is as in an encoder layer's form; `disentangled` says that relative positions attend. `types`
    says that the tokenizer gives token types, `holds_all` that the model's code holds every layer's input to the end.
    """

    query: str = "attention.self.query"
    key: str = "attention.self.key"
    value: str = "attention.self.value"
    output: str = "attention.output.dense"
    up: str = "intermediate.dense"
    down: str = "output.dense"
    dense: str = "bert.pooler.dense"
    out: str = "classifier"
    activation: str = "tanh"
    drops_first: bool = False
    pooler: str | None = "pooler.dense"
    transform: str = "cls.predictions.transform.dense"
    decoder: str = "cls.predictions.decoder"
    head_activation: str | None = None
    compact: bool = False
    disentangled: bool = False
    types: bool = True
    holds_all: bool = False


ROBERTA = EncoderLayout(
    dense="classifier.dense",
    out="classifier.out_proj",
    drops_first=True,
    transform="lm_head.dense",
    decoder="lm_head.decoder",
    head_activation="gelu",
    types=False,
)

ENCODERS: Mapping[str, EncoderLayout] = {
    "bert": EncoderLayout(),
    "roberta": ROBERTA,
    "xlm-roberta": ROBERTA,
    "deberta-v2": EncoderLayout(
        query="attention.self.query_proj",
        key="attention.self.key_proj",
        value="attention.self.value_proj",
        dense="pooler.dense",
        activation="gelu",
        pooler=None,
        disentangled=True,
        holds_all=True,
    ),
    "distilbert": EncoderLayout(
        query="attention.q_lin",
        key="attention.k_lin",
        value="attention.v_lin",
        output="attention.out_lin",
        up="ffn.lin1",
        down="ffn.lin2",
        dense="pre_classifier",
        activation="relu",
        pooler=None,
        transform="vocab_transform",
        decoder="vocab_projector",
        compact=True,
        types=False,
    ),
}
"""The families of encoders whose layers are followed operation by operation."""
