"""What forms are built from: a model's modules and layout, its adapters, and the dtypes of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field, replace

from toolkit.frozen import frozen
from toolkit.memory.architecture import Architecture, Module, ModuleKind
from toolkit.memory.architecture.litgpt import FAMILY as LITGPT
from toolkit.memory.formula.linear.linear_form import Branch, LinearForm, Tuner
from toolkit.memory.formula.norms import NormForm
from toolkit.memory.formula.trainers.liger import KEEPS_GRADIENTS, LEFT_IN_A_MODEL, takes_over
from toolkit.memory.layouts.encoders import ENCODERS
from toolkit.memory.layouts.families import layout_of
from toolkit.memory.layouts.layout import Layout
from toolkit.memory.libraries.transformers_versions import Behaviour
from toolkit.memory.weights.numerics import Numerics

OUTPUT = "output"
"""The key of an adapter on the product that makes logits."""


@frozen
class Adaptation:
    """The adapters of a run: which module paths have a LoRA branch, its rank, dropout, DoRA and biases."""

    paths: frozenset[str] = frozenset()
    rank: int = 0
    dropout: bool = False
    dora: bool = False
    bias: bool = False
    shared: tuple[str, ...] = ()  # paths of fused matrices that share one adapter, of twice the rank
    tuners: Mapping[str, Tuner] = field(default_factory=dict)  # adapters of other peft methods, by path
    rows: bool = False  # rows of the embedding are trained
    prefix: int = 0  # virtual tokens whose keys and values every layer has
    norms: tuple[bool, bool, bool] = (False, False, False)  # trained: before attention and feed-forward, at the end
    saved: frozenset[str] = frozenset()  # paths of modules of which whole copies are trained
    embeds: bool = False  # the token embedding is one of them
    outputs: bool = False  # the output layer is one of them
    looks_up: bool = False  # the token embedding has a LoRA branch
    frozen: str = ""  # the matrix of adapters that is not trained: A or B
    blocks: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # diagonal blocks of A and of B, by path


@frozen
class Builder:
    """Makes the forms of one architecture under one set of dtypes."""

    architecture: Architecture
    numerics: Numerics
    adaptation: Adaptation
    by_suffix: Mapping[str, Module]
    version: Behaviour
    sequence: int
    layout: Layout
    lone: bool = False  # a single sequence, whose heads a product of its own takes as they lie
    indexing: tuple[bool, bool] = (False, False)  # several sequences, and more tokens than an indexer chooses

    def of_layer(self, index: str) -> Builder:
        """A builder for the linears of one layer, where layers differ in them."""
        own = {suffix: module for suffix, module in _by_suffix(self.architecture) if index in module.layers}
        return replace(self, by_suffix={**self.by_suffix, **own})

    def linear(self, suffix: str) -> LinearForm:
        """The form of the linear layer whose path ends in `suffix`."""
        return self.form_of(self.by_suffix[suffix])

    def form_of(self, module: Module) -> LinearForm:
        """The form of a linear layer."""
        n, saved = self.numerics, module.path in self.adaptation.saved
        dtype = "fp32" if module.float32 else n.linear
        quantized = module.quantized and module.kind is not ModuleKind.HEAD and n.storage != "plain"
        return LinearForm(
            inputs=module.in_features,
            outputs=module.out_features,
            dtype=dtype,
            bias=any(tensor.name == "bias" for tensor in module.tensors),
            trains=n.trains_base or saved,
            storage=n.storage if quantized else "plain",
            compute=n.compute,
            autocast=n.autocast,
            gradient=dtype if saved else n.gradient,
            nested=n.nested,
            keeps_input=n.keeps_input,
            follows=n.follows,
            halved=n.halved,
            unpacks=n.unpacks,
            branch=self.branch(module.path),
            tuner=self.adaptation.tuners.get(module.path),
        )

    def output_weight(self) -> LinearForm:
        """The form of the output layer's product: never quantized, in the dtype of the head."""
        n = self.numerics
        heads = (module for module in self.architecture.modules if module.kind is ModuleKind.HEAD)
        return LinearForm(
            inputs=self.architecture.hidden,
            outputs=self.architecture.vocabulary,
            dtype=n.head,
            bias=any(tensor.name == "bias" for module in heads for tensor in module.tensors),
            trains=n.trains_base or self.adaptation.outputs,
            compute=n.compute,
            autocast=n.autocast,
            gradient=n.head if self.adaptation.outputs else n.gradient,
            tuner=self.adaptation.tuners.get(OUTPUT),
        )

    def branch(self, path: str) -> Branch | None:
        """The adapter on the module with this path, or with a path that ends in it after a dot; None without one."""
        a, n = self.adaptation, self.numerics
        found = next((one for one in a.paths if f".{one}".endswith(f".{path}")), None)
        if found is None or n.adapter is None:
            return None
        rank = 2 * a.rank if found in a.shared else a.rank
        branch = Branch(
            rank, n.gathered_adapter or n.adapter, n.gradient, a.dropout, n.adapter_products, magnitude=a.dora,
            bias=a.bias, frozen=a.frozen, blocks=a.blocks.get(found, (1, 1)), keeps_unit=n.keeps_unit,
        )  # fmt: skip
        if n.kernels.adapters is not None:
            masks, axolotl = n.kernels.adapters == "masked", n.kernels.adapters == "axolotl"
            branch = replace(branch, fused=True, masks=masks, axolotl=axolotl)
        if n.adds_in_place:
            return replace(branch, in_place=True)
        return replace(branch, clones=False) if self.architecture.family == LITGPT else branch

    def norm(self, kind: str, place: int | None = None) -> NormForm:
        """The form of a layer's norms, or of the norm before attention (0), feed-forward (1) or the head (2)."""
        n = self.numerics
        trained = place is not None and self.adaptation.norms[place]
        offset = self.layout.unit_offset_norm
        return NormForm(
            kind,
            n.norm,
            n.trains_base or trained,
            autocast=n.autocast is not None,
            cast=n.autocast,
            unit_offset=offset,
            fast=n.kernels.norm,
            liger=bool(n.kernels.liger),
            over=self.architecture.family not in KEEPS_GRADIENTS,
        )

    def norm_of_heads(self, kind: str, heads: int) -> NormForm:
        """The form of a norm of queries or keys, which Liger does not replace in some families."""
        left = self.numerics.kernels.liger == "instance" and self.architecture.family in LEFT_IN_A_MODEL
        layout = self.layout
        rows = 1 if layout.norm_of_all else heads
        norm = replace(self.norm(kind), heads=heads if layout.norm_by_head else 0, rows=rows)
        return replace(norm, liger=norm.liger and not left)


def builder(
    architecture: Architecture, numerics: Numerics, adaptation: Adaptation, version: Behaviour, sequence: int
) -> Builder:
    """A builder for a family whose activations are covered; refuses the others by name."""
    if numerics.kernels.liger and not takes_over(architecture.family):
        numerics = replace(numerics, kernels=replace(numerics.kernels, liger=False))
    layout = Layout() if architecture.family in ENCODERS else layout_of(architecture)  # encoders have their own
    by_suffix = dict(_by_suffix(architecture))
    return Builder(architecture, numerics, adaptation, by_suffix, version, sequence, layout)


def _by_suffix(architecture: Architecture) -> Iterator[tuple[str, Module]]:
    """The modules of layers, by the ends of their paths."""
    return ((module.path.rpartition("{}.")[2], module) for module in architecture.modules if "{}" in module.path)
