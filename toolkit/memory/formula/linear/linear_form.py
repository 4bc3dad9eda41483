"""A linear layer as a tape sees it: its sizes and dtypes, how its weight is stored, and the adapter on it."""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.spec.fields.peft_methods import Option


@frozen
class Branch:
    """A LoRA branch: its rank, the dtypes of its matrices and their gradients, and whether it has dropout."""

    rank: int
    dtype: str
    gradient: str
    dropout: bool
    products: str | None = None  # the dtype of its products without autocast, where that differs
    magnitude: bool = False  # DoRA
    bias: bool = False  # of B
    clones: bool = True  # peft clones a 4-bit layer's result before it adds to it
    in_place: bool = False  # added in place to a GPTQ layer's result; the input's dtype is left to autocast
    fused: bool = False  # part of an operation with other adapters (fused_adapters)
    masks: bool = False  # that operation masks the gradients that flow back through it
    axolotl: bool = False  # part of an operation of axolotl (axolotl_adapters)
    frozen: str = ""  # the matrix that is frozen: "A" or "B"
    blocks: tuple[int, int] = (1, 1)  # diagonal blocks of A and of B
    keeps_unit: bool = False  # DoRA's unit matrix has a name until its result is there


@frozen
class Tuner:
    """An adapter of another peft method: the dtypes of its parameters and gradients, its rank, its options."""

    method: str
    dtype: str
    gradient: str
    rank: int = 0
    options: tuple[tuple[str, Option], ...] = ()

    def option(self, name: str) -> Option:
        """An option of the method."""
        return dict(self.options)[name]

    def number(self, name: str) -> int:
        """An option that is a number."""
        value = self.option(name)
        assert isinstance(value, int)
        return value


@frozen
class LinearForm:
    """A linear layer as a tape needs it.

    `storage` is as in Numerics; `dtype` is that of a plain weight, `compute` that of a quantized weight's product.
    """

    inputs: int
    outputs: int
    dtype: str
    bias: bool = False
    trains: bool = False
    storage: str = "plain"
    compute: str = "bf16"
    autocast: str | None = None
    gradient: str = "bf16"
    nested: bool = False
    keeps_input: bool = False  # bitsandbytes before 0.43.2 kept the input of every 4-bit product
    follows: bool = False  # bitsandbytes before 0.47 took the input's dtype for the product
    halved: bool = False  # a weight dequantizes to 16 bits first, and is then cast
    unpacks: bool = False  # except in a forward pass, where it dequantizes to the product's dtype at once
    branch: Branch | None = None
    tuner: Tuner | None = None
    weights: int | None = None  # elements of the weight, where they are not inputs x outputs (grouped experts)
    viewed: bool = False  # it multiplies by a view of its weight, which autocast does not cache (Falcon)
    bare: bool = False  # a bare parameter, not a module: an adapter is added to it before each product
    shared: str = ""  # a name, where the layer is used more than once in a stretch

    @property
    def elements(self) -> int:
        """The elements of the weight."""
        return self.inputs * self.outputs if self.weights is None else self.weights
