"""The header of published readings, and the names of metrics."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field as Alias

from toolkit.spec.written.quotes import Text
from toolkit.spec.written.scenarios import Written

READING_METRICS = {
    "allocated": "the peak of live tensors, as torch.cuda.max_memory_allocated says",
    "allocated_at_load": "live tensors once the model is loaded, with the adapters that it was given",
    "allocated_after_step": "live tensors right after an optimizer step, gradients among them",
    "allocated_after_stage": "live tensors when training is over: weights and optimizer states",
    "allocated_between_tokens": "live tensors between two generated tokens, at the last of them",
    "allocated_over_forward": "the peak of live tensors over the forward pass alone, of training",
    "allocated_after_forward": "live tensors after the forward pass",
    "allocated_after_backward": "live tensors after the backward pass",
    "allocated_and_context": "the peak of live tensors, and what the process holds outside of torch's allocator",
    "added_by_prompt": "what a pass over the prompt adds, at its peak, to the live tensors before it",
    "added_by_token": "what a pass of one token adds, at its peak, to the live tensors before it, the cache among them",
    "reserved": "the peak of what the caching allocator holds",
    "reserved_p99": "what the caching allocator holds after a step, the 99th percentile over steps",
    "reserved_mean": "what the caching allocator holds after a step, the mean over steps",
    "device": "the peak of what the card shows",
    "weights": "the model's weights alone",
    "vllm_activations": "vLLM's log: the increase of live tensors at the profiling run",
    "vllm_outside_torch": "vLLM's log: memory outside of torch's allocator",
    "vllm_graphs": "vLLM's log: the change while CUDA graphs are captured",
    "vllm_kv_cache": "vLLM's log: what is left for the cache",
    "vllm_kv_per_token": "vLLM's log: what is left for the cache over the tokens that it has, both as printed",
    "unstated": "the source does not say which of allocated, reserved and device was read",
}
"""The metrics of readings, each with its meaning; two metrics are never compared with each other."""

SPANS = {
    "one": "one GPU, or each of several",
    "first": "the first of several GPUs",
    "last": "the last of several GPUs",
    "mean": "the mean over several GPUs",
    "sum": "the sum over several GPUs",
}
"""How a reading of a run on several GPUs counts them."""


class HeaderFields(Written):
    """One source of readings."""

    title: Annotated[Text | None, Alias(description="The source for readers.")] = None
    repository: Annotated[Text | None, Alias(description="The repository that published the readings.")] = None
    metric: Annotated[Text | None, Alias(description="What was read, and how.")] = None
    unit: Annotated[Text | None, Alias(description="The unit as published, and what it means.")] = None
    licence: Annotated[Text | None, Alias(description="The licence of the repository.")] = None
    caveats: Annotated[list[Text] | None, Alias(description="What a reader of the figures has to know.")] = None
    misses: Annotated[
        list[Text] | None, Alias(description="Where estimates miss its readings, and the cause as far as it is known.")
    ] = None
