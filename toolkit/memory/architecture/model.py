"""What a model is made of, without building it: named tensors with shapes, and the dimensions of activations.

A family file turns a published config into an `Architecture`. Layers that are alike are written once, with
the layer indices they stand for, so that a model of any size is a few dozen entries.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from enum import StrEnum
from math import prod

from toolkit.frozen import frozen
from toolkit.memory.architecture.mixers import Mixer


class ModuleKind(StrEnum):
    """What a module is to quantization and adapters."""

    LINEAR = "linear"  # torch.nn.Linear: quantized by bitsandbytes, matched by LoRA's all-linear
    CONV1D = "conv1d"  # transformers' Conv1D (GPT-2): as a linear, with the weight transposed
    EMBEDDING = "embedding"
    NORM = "norm"
    HEAD = "head"  # an output projection (lm_head, classifier): a linear that bitsandbytes leaves in 16 bit
    EXPERTS = "experts"  # expert weights fused into 3-D parameters: no Linear, so neither quantized nor adapted
    OTHER = "other"  # bare parameters (routers, attention sinks) and convolutions


@frozen
class Tensor:
    """One parameter of a module: its attribute name (`weight`, `bias`, `gate_up_proj`) and shape."""

    name: str
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        """The number of elements."""
        return prod(self.shape)


@frozen
class Module:
    """A module that owns parameters. `path` may hold one `{}` for the layer index, taken from `layers`.

    For LINEAR, CONV1D and HEAD `in_features` and `out_features` are those of the product; for EMBEDDING and
    convolutions those by which LoRA adapts them (rows and width; inputs times kernel, and outputs). 0:
    nothing LoRA can adapt. A head whose weight is tied owns no weight tensor. `quantized` is false for a
    linear that transformers leaves unquantized, and `float32_with_fp16` true for a module that it keeps in
    float32 when the rest is float16, `float32` for one that always is. What is not `trainable` never gets a gradient.
    """

    path: str
    kind: ModuleKind
    tensors: tuple[Tensor, ...]
    layers: tuple[str, ...] = ("",)
    in_features: int = 0
    out_features: int = 0
    quantized: bool = True
    float32_with_fp16: bool = False
    float32: bool = False
    trainable: bool = True

    @property
    def count(self) -> int:
        """How many modules of this form the model has."""
        return len(self.layers)

    @property
    def elements(self) -> int:
        """Elements of all its tensors, over all layers."""
        return self.count * sum(tensor.elements for tensor in self.tensors)

    @property
    def leaf(self) -> str:
        """The last part of the path, by which LoRA's target names match."""
        return self.path.rsplit(".", 1)[-1]

    def paths(self) -> Iterator[str]:
        """The full name of every module of this form."""
        return (self.path.replace("{}", layer) for layer in self.layers)


@frozen
class Attention:
    """The attention of one kind of layer.

    `window` is None for full attention; MLA sets `latent_rank`, and `query_latent_rank` where queries too pass through
    a latent. `rope_dim` is the width of a head's part that rotary embedding turns, where that is not all of it.
    """

    query_heads: int
    key_value_heads: int
    head_dim: int
    value_head_dim: int
    window: int | None = None
    latent_rank: int | None = None
    rope_dim: int | None = None
    query_latent_rank: int | None = None
    query_norm: bool = False
    sinks: bool = False
    relative_positions: int | None = None  # DeBERTa: number of relative-position embeddings that attend
    position_terms: tuple[str, ...] = ()  # and how: c2p (contents to positions), p2c (positions to contents)
    dropout: float = 0.0  # of the attention probabilities
    caches_queries: bool = False  # keys and values are repeated for every query head before they are cached (Falcon)
    written: bool = False  # its code writes scores out, whatever kernel is asked for (GPT-J, GPT-Neo, CodeGen, MPT)
    alibi: bool = False  # biases by distance are added to the scores, which no kernel of torch does
    always_masked: bool = False  # its code always makes a mask, even where torch's sdpa needs none
    recurrent: bool = False  # linear attention: a state of one size in place of keys and values for every token
    softcap: bool = False  # scores squashed by tanh (Gemma 2), which flash kernels of torch do not do
    clips: bool = False  # queries, keys and values are clipped in place (OLMo)
    keys_as_values: bool = False  # values come of what keys come of, and are normed (Gemma 4)
    shares_keys: bool = False  # keys and values are those of an earlier layer, which keeps them (Gemma 4)
    gated: bool = False  # its result is multiplied by the sigmoid of a gate that comes with the queries
    index_heads: int = 0  # of an indexer, which chooses the tokens that each attends to (DeepSeek V3.2)
    index_width: int = 0
    index_chosen: int = 0
    scaled: bool = False  # queries are multiplied by a number of their position (Llama 4, where they are not turned)
    turned: bool = True  # rotary embedding, where the family has one: some leave it out of some layers (SmolLM3)


@frozen
class FeedForward:
    """The feed-forward of one kind of layer. A mixture has `experts` > 0; `intermediate` is that of one."""

    intermediate: int
    gated: bool
    activation: str
    experts: int = 0
    experts_per_token: int = 0
    shared_intermediate: int = 0
    dropout: float = 0.0  # of what the activation gives (BART)
    sparse: bool = False  # of what the gate gives only what is high in its token goes on (Gemma 3n)


@frozen
class LayerKind:
    """Layers that are alike in all that activations depend on. `dropout` is that of the residual stream."""

    count: int
    attention: Attention
    feed_forward: FeedForward
    cross_attention: Attention | None = None
    norm: str = "rms"  # rms | layer | another (formula/norms.py)
    norms: int = 2
    parallel_residual: bool = False
    dropout: float = 0.0
    stack: str = "decoder"  # decoder | encoder
    sample: str = ""  # the index of one of its layers, where these have linears that differ from those of others
    mixer: Mixer | None = None  # in place of attention, which then is `recurrent`
    mixer_norm: str = ""  # of what the mixer gives, before its gate or after it, where that is no matter of course
    alone: str = ""  # the only part of the layer: mixer or feed-forward (Nemotron-H)


@frozen
class Architecture:
    """A model: its modules, and the dimensions that activations follow.

    `modules` hold every parameter once; `tied` names output weights that share another module's storage. `order` has
    the index of each layer's kind, where it matters which kinds come last.
    """

    family: str
    class_name: str
    head: str
    modules: tuple[Module, ...] = field(hash=False)  # by the hundred, and as good as told apart by the rest
    layers: tuple[LayerKind, ...] = field(hash=False)
    hidden: int
    vocabulary: int
    max_positions: int | None = None
    tied: tuple[str, ...] = ()
    labels: int = 0
    logit_softcap: bool = False
    is_decoder: bool = True
    scales_output: bool = False  # T5: a factor before the output weight, where that is the embedding's
    positions_by_row: bool = False  # each sequence has angles of its own (Qwen-VL)
    older_names: bool = True  # peft knows what experts were called before, where they are fused
    caches: bool = True  # nothing in training where its config says `use_cache: false`
    caches_in_training: bool = False  # `use_cache`, which trainers turn off, does not reach its text model
    embedding_dropout: float = 0.0  # of what goes into the first layer
    frames: int = 0  # positions of an encoder that reads no tokens, but a sound of a fixed length (Whisper)
    bins: int = 0  # of which each frame of the sound has so many
    activation: str = ""  # of the head of an encoder, where that is not the layers' (ModernBERT)
    reads_mean: bool = False  # its classifier reads the mean of all tokens, and not the first
    reads_late: bool = False  # or all of them, and takes the mean of their labels (EuroBERT)
    notes: tuple[str, ...] = field(default=())
    order: tuple[int, ...] = ()

    @property
    def parameters(self) -> int:
        """The exact number of parameters, tied ones once."""
        return sum(module.elements for module in self.modules)

    @property
    def layer_count(self) -> int:
        """All layers, encoder and decoder together."""
        return sum(kind.count for kind in self.layers)
