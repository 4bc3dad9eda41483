"""The layouts of encoders by family: the names of their linears, and how they differ from BERT's."""

from __future__ import annotations

from collections.abc import Mapping

from toolkit.frozen import frozen


@frozen
class EncoderLayout:
    """The linears of a layer by the ends of their paths, those of the heads by their paths, and what lies between."""

    query: str = "attention.self.query"
    key: str = "attention.self.key"
    value: str = "attention.self.value"
    output: str = "attention.output.dense"
    up: str = "intermediate.dense"
    down: str = "output.dense"
    dense: str = "bert.pooler.dense"  # a classifier's first linear
    out: str = "classifier"  # a classifier's last linear
    activation: str = "tanh"  # a classifier's, between the two
    drops_first: bool = False  # a classifier has dropout before `dense` as well
    pooler: str | None = "pooler.dense"  # the end of a model without a head
    transform: str = "cls.predictions.transform.dense"  # the masked head's first linear
    decoder: str = "cls.predictions.decoder"  # the masked head's output layer
    head_activation: str | None = None  # the masked head's; None for that of the layers
    compact: bool = False  # as in an encoder layer's form
    disentangled: bool = False  # attention to relative positions (DeBERTa)
    types: bool = True  # the tokenizer gives token types
    holds_all: bool = False  # the model's code holds every layer's input to the end
    projects: str | None = None  # the linear between embeddings and layers, where their widths differ
    shares: bool = False  # all layers share weights; attention's names stay bound until its norm is done (ALBERT)
    # scores, always written out, get a bias for each pair of positions; attention has the output projection (MPNet)
    biases: bool = False
    joined: str | None = None  # one linear for queries, keys and values (the first DeBERTa)
    head_norm: str | None = None  # the masked head's norm, where it differs from the layers' (the first DeBERTa)


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
"""The path of the weights of ALBERT's layers within a group."""

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
"""All families with bidirectional attention; the last three are built like decoders."""
