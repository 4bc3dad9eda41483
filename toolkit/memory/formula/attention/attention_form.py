"""An attention as a tape sees it, and the rows that attention fills."""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.norms import NormForm

STATES = "attention_states"
OUTPUT = "attention_output"
SCORES = "attention_scores"
KERNEL = "attention_backward"


@frozen
class AttentionForm:
    """An attention as a tape needs it.

    `projections` are those of q, k and v, or one for all three. `kernel` is flash (saves no scores), varying (the same
    for padded rows), masked (sdpa with a mask), given (sdpa with a mask in the compute dtype, whose rows may be padded)
    or eager (saves the probabilities). `rotary` is as in a layout.
    """

    query_heads: int
    key_value_heads: int
    head_dim: int
    value_head_dim: int
    projections: LinearForm | tuple[LinearForm, ...]
    output: LinearForm
    kernel: str
    rotary: str
    turned: int | None = None  # the width of a head's rotated part, where names keep it alive to attention's end
    scaled_query: bool = False
    query_norm: NormForm | None = None
    key_norm: NormForm | None = None  # where it differs from that of queries
    value_norm: NormForm | None = None  # of values, where queries, keys and values are made in turn (Gemma 4)
    autocast: str | None = None
    narrows: str | None = None  # the dtype that FlashAttention of a quantized model gets in place of float32
    wide_rotary: bool = False  # the rotary angles are float32, as under autocast with float32 weights
    softcap: bool = False
    sinks: str | None = None  # the dtype of a learned logit that is added to each row of scores as a column (gpt-oss)
    repeats: bool = False  # keys and values are repeated for every query head before the kernel
    narrow_softmax: bool = False  # eager attention takes it in the dtype of the scores
    leaves_softmax: bool = False  # and nothing casts its result
    dropout: bool = False  # of the probabilities, for which a flash kernel keeps no mask
    expands: bool = True  # its code expands a single head of keys and values before the kernel is called
    packs: bool = False  # a single token's query heads are packed by the keys that they share: nothing is repeated
    window: int | None = None  # its tokens, where it is shorter than the prompt
    sliced: int = 0  # tokens whose cached keys and values are copied for nothing (transformers until 4.47)
    expanded: bool = False  # keys and values are computed from a latent, so that no cache has laid them out
    binds_probabilities: bool = False  # the layer's code keeps a name for eager attention's probabilities
    clips: bool = False  # queries, keys and values are clipped in place
    scaled_key: bool = False  # keys are multiplied by a number of the config (Falcon-H1)
    norms_each: bool = False  # queries are normalized before keys are made, and keys before values (Qwen 3)
    norms_turned: bool = False  # the norms of queries and keys come after rotary embedding (Hunyuan)
    scales_turned: bool = False  # rotated queries are multiplied by a number of their position (Ministral 3)
    scales_widely: bool = False  # that product is made in float32, and cast back (Llama 4)
    angles: str = "bf16"  # the dtype of cosines and sines
    turned_width: int = 0  # of each head
    slices: bool = False  # queries, keys and values are slices of one projection, each of whose gradients is whole
    heads_last: bool = False  # they become heads once all three are made (StableLM)
    shapes: bool = False  # its code puts heads before positions, in copies, before anything is cached (BART's _shape)
    lays_out: bool = False  # sdpa gets contiguous copies of queries, keys and values (sdpa_attention.py until 4.55)
    clamps: bool = False  # eager scores go through a maximum with the lowest number (OPT)
    prefix: int = 0  # virtual tokens whose keys and values come before those of the prompt (prefix tuning)
    returns_gradients: bool = False  # keys and values of an earlier layer get gradients as well (Gemma 4)
    last: bool = False  # and are the first to get them, as no layer follows
    gated: bool = False  # queries come with a gate of their width, whose sigmoid multiplies the result
    causal: bool = True  # no token attends to later ones, which takes a bias where scores are materialized

    lone: bool = False  # of a single sequence, whose heads torch.matmul folds without copying them

    @property
    def is_grouped(self) -> bool:
        """Whether several query heads share keys and values."""
        return self.query_heads != self.key_value_heads

    @property
    def one_for_all(self) -> bool:
        """Whether a single head of keys and values is shared by all query heads: a view, which needs no copy."""
        return self.is_grouped and self.key_value_heads == 1

    def flash_dtype(self, dtype: str) -> str:
        """The dtype in which FlashAttention gets states of a dtype (transformers flash_attention.py)."""
        return self.autocast or (self.narrows if dtype == "fp32" else None) or dtype

    @property
    def heads_first(self) -> bool:
        """Whether queries are in memory with heads before positions, as concatenated rotated parts are."""
        return self.shapes or self.rotary in ("joined", "joined in turn", "joined pairs") or self.sinks is not None

    @property
    def repeated(self) -> int:
        """The width of keys once they are repeated for every query head."""
        return self.query_heads * self.head_dim
