"""The families with programs of their own: they are not just a decoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from toolkit.memory.forms.builder import Builder
from toolkit.memory.layouts.encoders import ENCODERS
from toolkit.memory.programs.bart import FAMILIES as LIKE_BART
from toolkit.memory.programs.bart import bart_programs
from toolkit.memory.programs.encoder_decoder import FAMILIES as LIKE_T5
from toolkit.memory.programs.encoder_decoder import t5_programs
from toolkit.memory.programs.encoders import encoder_programs
from toolkit.memory.programs.programs import Programs
from toolkit.memory.programs.streams import FAMILIES as LIKE_GEMMA3N
from toolkit.memory.programs.streams import stream_programs
from toolkit.spec.settings.setting import Setting

OWN_PROGRAMS: Mapping[str, Callable[[Builder, Setting], Programs]] = {
    **dict.fromkeys(ENCODERS, encoder_programs),
    **dict.fromkeys(LIKE_T5, t5_programs),
    **dict.fromkeys(LIKE_BART, bart_programs),
    **dict.fromkeys(LIKE_GEMMA3N, stream_programs),
}
"""Encoders, encoder-decoder models, and models with several residual streams."""
