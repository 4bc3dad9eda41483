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
    `projects` is the linear between embeddings and layers, where their widths differ. With `shares` all layers have the
    same weights, and attention holds its names until its norm is done (ALBERT). With `biases` scores, which are always
    written out, get one for each pair of positions, and the output projection is attention's own (MPNet). `joined` is
    the linear that makes queries, keys and values, `head_norm` the masked head's norm, where it is not the layers' (the
    first DeBERTa).
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
    projects: str | None = None
    shares: bool = False
    biases: bool = False
    joined: str | None = None
    head_norm: str | None = None


ROBERTA = EncoderLayout(
    dense="classifier.dense",
    out="classifier.out_proj",
    drops_first=True,
    transform="lm_head.dense",
    decoder="lm_head.decoder",
    head_activation="gelu",
    types=False,
)

SHARED = "albert_layers.0"
"""Where the weights of ALBERT's layers are, within a group."""

ENCODERS: Mapping[str, EncoderLayout] = {
    "albert": EncoderLayout(
        query=f"{SHARED}.attention.query",
        key=f"{SHARED}.attention.key",
        value=f"{SHARED}.attention.value",
        output=f"{SHARED}.attention.dense",
        up=f"{SHARED}.ffn",
        down=f"{SHARED}.ffn_output",
        dense="albert.pooler",
        pooler="pooler",
        transform="predictions.dense",
        decoder="predictions.decoder",
        projects="encoder.embedding_hidden_mapping_in",
        shares=True,
    ),
    "bert": EncoderLayout(),
    "camembert": ROBERTA,
    "electra": EncoderLayout(
        dense="classifier.dense",
        out="classifier.out_proj",
        activation="gelu",
        drops_first=True,
        pooler=None,
        transform="generator_predictions.dense",
        decoder="generator_lm_head",
        head_activation="gelu",
        projects="embeddings_project",
    ),
    "roberta": ROBERTA,
    "xlm-roberta": ROBERTA,
    "mpnet": EncoderLayout(
        query="attention.attn.q",
        key="attention.attn.k",
        value="attention.attn.v",
        output="attention.attn.o",
        dense="classifier.dense",
        out="classifier.out_proj",
        drops_first=True,
        transform="lm_head.dense",
        decoder="lm_head.decoder",
        head_activation="gelu",
        types=False,
        biases=True,
    ),
    "deberta": EncoderLayout(
        dense="pooler.dense",
        activation="gelu",
        pooler=None,
        disentangled=True,
        holds_all=True,
        joined="attention.self.in_proj",
        head_norm="layer",
    ),
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

READERS = (*ENCODERS, "eurobert", "modernbert", "nomic_bert")
"""All families that read in both directions: the last are built as decoders are."""
