"""The loss of a torchtune recipe. Sources: torchtune bd2a0fc7c3, torchtune/modules/loss."""

from __future__ import annotations

from toolkit.spec.training_configs.config import Config

WHOLE_LOSS = "torch.nn.CrossEntropyLoss"
OUTPUTS_LOSS = "torchtune.modules.loss.CEWithChunkedOutputLoss"
OUTPUTS_UNTIL = "0.6.1"
"""The last release in which a chunked loss takes the model's logits in chunks."""
LINEAR_LOSS = "torchtune.modules.loss.LinearCrossEntropyLoss"
PARTS = 8
"""num_output_chunks: the default of torchtune's chunked losses, and the only value that is followed."""


def take_loss(config: Config) -> None:
    """Reads the loss: of all logits, or of chunks of the logits or of the hidden states."""
    component = config.word("loss._component_")
    chunked = component in (OUTPUTS_LOSS, LINEAR_LOSS)
    _refuse_other_parts(config, chunked=chunked)
    if component not in (None, WHOLE_LOSS, OUTPUTS_LOSS, LINEAR_LOSS):
        config.matters("loss._component_", "only the losses of supervised fine-tuning are followed")
    elif config.value("stack.trainer") == "torchtune":
        config.assume("stack.loss", "chunked" if chunked else "cross-entropy", "loss._component_")
        if component == OUTPUTS_LOSS and "stack.torchtune" not in config.said:
            config.assume("stack.torchtune", OUTPUTS_UNTIL, "loss._component_, which later releases deprecate")
    elif component == LINEAR_LOSS:
        _taken_for(config, "chunked", "torchtune takes an eighth of the tokens at a time, not TRL's chunks")
    elif component == OUTPUTS_LOSS:
        _taken_for(config, "cross-entropy", "float32 copies are taken to exist of all logits, not of a part at a time")
    else:
        config.assume("stack.loss", "cross-entropy", "loss._component_")


def _taken_for(config: Config, loss: str, reason: str) -> None:
    config.assume("stack.loss", loss, "loss._component_")
    config.matters("loss._component_", reason, stops=False)


def _refuse_other_parts(config: Config, *, chunked: bool) -> None:
    """Refuses a chunked loss with another number of chunks than is followed."""
    parts = config.whole("loss.num_output_chunks")
    if chunked and parts not in (None, PARTS):
        config.matters("loss.num_output_chunks", f"a loss in other than {PARTS} parts is not followed")
