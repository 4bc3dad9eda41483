"""One stage of a pipeline that torch schedules: the code of torch.distributed.pipelining, as one rank runs it.

Each rank has a part of a decoder's layers. Micro-batches follow each other through them, several at once. The process
group moves nothing: what a rank receives is the buffer that torch made for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.autograd.graph import _engine_run_backward

from toolkit.memory.ledger import PhaseName
from toolkit.memory.parallel.schedule import layers_of
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.trace.build import DTYPES
from toolkit.memory.trace.refusal import UnsupportedTrace
from toolkit.memory.trace.refused import takes_logits
from toolkit.memory.trace.stand_ins.operators import standing_in
from toolkit.spec.fields.parallel import GPIPE, ONE_F_ONE_B
from toolkit.spec.settings.setting import Setting

PIPELINING = "torch.distributed.pipelining"
CLASSES = {GPIPE: "ScheduleGPipe", ONE_F_ONE_B: "Schedule1F1B"}
"""torch's schedules by their names in a scenario."""


NAMES = (
    ("embed_tokens", "layers", "norm"),
    ("embed_tokens", "layers", "final_layernorm"),
    ("embed_in", "layers", "final_layer_norm"),
    ("wte", "h", "ln_f"),
)
"""What decoders call their embeddings, their layers and the norm after them, where nothing else lies around these."""


def schedules(setting: Setting) -> bool:
    """Whether micro-batches follow each other through stages."""
    return setting.parallel.schedule is not None


@contextmanager
def as_rank(setting: Setting, rank: int) -> Iterator[None]:
    """Makes this process one rank of a pipeline whose messages are there at once."""
    if not schedules(setting):
        yield
        return
    if dist.is_initialized():
        raise UnsupportedTrace("this process already belongs to a group of processes")
    store = import_module("torch.testing._internal.distributed.fake_pg").FakeStore()
    code: Any = import_module(f"{PIPELINING}.schedules")
    if not hasattr(code, "InferenceMode"):
        raise UnsupportedTrace(
            "schedules of this release of torch are not traced: its stages take their shapes otherwise"
        )
    dist.init_process_group("fake", rank=rank, world_size=setting.parallel.gpus, store=store)
    try:
        with ExitStack() as entered:
            for owner, name, stand_in in (
                (code, "_batch_p2p", _messages),
                (code._PipelineSchedule, "_warmup_p2p", _shapes_are_given(code.InferenceMode.STATIC)),
                (torch.autograd, "backward", _backward),
            ):
                entered.enter_context(standing_in(owner, name, stand_in))
            yield
    finally:
        dist.destroy_process_group()


def _backward(results: list[torch.Tensor], grad_tensors: list[torch.Tensor | None]) -> None:
    """torch.autograd.backward, but unseen by function modes, as in a loop's own loss.backward()."""
    given = zip(results, grad_tensors, strict=True)
    gradients = tuple(torch.ones_like(result) if gradient is None else gradient for result, gradient in given)
    _engine_run_backward(tuple(results), gradients, False, False, (), allow_unreachable=True, accumulate_grad=True)


class _Message:
    """What torch gives for messages that are on their way.

    That of a single message has a reference to its tensor for as long as it lives, that of several joined ones until
    it is waited for (ProcessGroupNCCL.cpp, pointToPoint and endCoalescing).
    """

    def __init__(self, tensors: list[torch.Tensor], *, joined: bool) -> None:
        self._tensors, self._joined = tensors, joined

    def wait(self) -> None:
        """Returns at once."""
        if self._joined:
            self._tensors = []


def _messages(operations: list[Any], desc: str | None = None) -> list[_Message]:
    """As torch's _batch_p2p: those of one direction each for itself, others joined."""
    del desc
    if len({one.op for one in operations}) > 1:
        return [_Message([one.tensor for one in operations], joined=True)]
    return [_Message([one.tensor], joined=False) for one in operations]


def _shapes_are_given(mode: Any) -> Callable[..., None]:
    def agree(_: Any, stages: list[Any], *__: object) -> None:
        for stage in stages:
            stage._inference_mode = mode

    return agree


class Part(nn.Module):
    """The modules of a decoder that one stage has; it is given token ids, or the hidden states of the stage before."""

    def __init__(self, model: nn.Module, decoder: nn.Module, *, embeds: bool, projects: bool) -> None:
        super().__init__()
        self.model = decoder
        whole: Any = model
        self.lm_head = whole.get_output_embeddings() if projects else None
        self._named = "input_ids" if embeds else "inputs_embeds"

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        """Hidden states, or of the last stage logits."""
        hidden: torch.Tensor = self.model(**{self._named: given}, use_cache=False).last_hidden_state
        return hidden if self.lm_head is None else self.lm_head(hidden)


def part_of(model: nn.Module, setting: Setting, rank: int) -> nn.Module:
    """What one rank keeps of a model. Raises UnsupportedTrace for one that is not embeddings, layers, norm and head."""
    whole: Any = model
    decoder: Any = whole.get_decoder()
    found = next((names for names in NAMES if all(hasattr(decoder, name) for name in names)), None)
    if found is None or hasattr(decoder, "wpe"):
        raise UnsupportedTrace("this model is not embeddings, layers and a norm, of which stages have a part each")
    embeddings, layers, norm = found
    if whole.config.tie_word_embeddings:
        raise UnsupportedTrace("an output weight that is the embedding's too lies on two stages")
    gpus = setting.parallel.gpus
    try:
        first, end = layers_of(len(getattr(decoder, layers)), setting.parallel, rank)
    except UnsupportedRow as refusal:
        raise UnsupportedTrace(str(refusal)) from refusal
    setattr(decoder, layers, getattr(decoder, layers)[first:end])
    decoder.config.num_hidden_layers = end - first
    if rank:
        setattr(decoder, embeddings, None)
    if rank < gpus - 1:
        setattr(decoder, norm, nn.Identity())
        whole.set_output_embeddings(None)
    return Part(model, decoder, embeds=rank == 0, projects=rank == gpus - 1)


class Scheduled:
    """A stage with its schedule, which runs all micro-batches of a step."""

    def __init__(
        self, part: nn.Module, model: nn.Module, setting: Setting, rank: int, mark: Callable[[str], None]
    ) -> None:
        gpus, count = setting.parallel.gpus, setting.gradient_accumulation
        whole: Any = model
        config = whole.config.get_text_config()
        self._mark = mark
        self._setting, self._first, self._last = setting, rank == 0, rank == gpus - 1
        shape = setting.batch_size, setting.sequence_length
        with torch.device("cpu"):  # shapes alone are taken of these
            hidden = torch.empty((*shape, config.hidden_size), dtype=DTYPES[setting.weights]).requires_grad_()
            logits = hidden.new_empty((*shape, config.vocab_size)).requires_grad_()
            ids = torch.empty(shape, dtype=torch.long)
        code: Any = import_module(PIPELINING)
        given, result = ids if self._first else hidden, logits if self._last else hidden
        stage = code.PipelineStage(part, rank, gpus, torch.device("meta"), input_args=given, output_args=result)
        for name, phase in (("forward_one_chunk", PhaseName.FORWARD_END), ("backward_one_chunk", PhaseName.BACKWARD)):
            setattr(stage, name, _marked(getattr(stage, name), mark, phase))
        kind = getattr(code, CLASSES[str(setting.parallel.schedule)])
        self._schedule = kind(stage, count, loss_fn=_loss_of(setting, model))
        self._rows = setting.batch_size * count, setting.sequence_length

    def step(self) -> None:
        """All micro-batches forward and back; the first stage has their ids, the last one their labels."""
        self._mark(PhaseName.FORWARD_END)
        given = [torch.zeros(self._rows, dtype=torch.long)] if self._first else []
        labels = torch.zeros(self._rows, dtype=torch.long) if self._last else None
        returns = self._setting.parallel.returns_outputs
        self._schedule.step(*given, target=labels, losses=[], return_outputs=returns)


def _marked(method: Callable[..., Any], mark: Callable[[str], None], phase: str) -> Callable[..., Any]:
    def marked(*args: Any, **named: Any) -> Any:
        mark(phase)
        return method(*args, **named)

    return marked


def _loss_of(setting: Setting, model: nn.Module) -> Callable[..., torch.Tensor]:
    """The loss of a micro-batch: cross-entropy of logits as they are given, or transformers' own in float32."""
    whole: Any = model

    def of_logits(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        vocabulary = logits.shape[-1]
        return nn.functional.cross_entropy(logits[:, :-1].reshape(-1, vocabulary), labels[:, 1:].reshape(-1))

    def of_transformers(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        loss: torch.Tensor = whole.loss_function(logits=logits, labels=labels, vocab_size=whole.config.vocab_size)
        return loss

    return of_logits if takes_logits(setting) else of_transformers
