"""One setting, built and run on a device, and everything that was read there."""

from __future__ import annotations

import gc
import time
import warnings
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import torch

from toolkit.memory.ledger import Category, PhaseName
from toolkit.memory.measure.census import Census, adapters_of, held_by
from toolkit.memory.measure.device import Device
from toolkit.memory.measure.job import Measurable
from toolkit.memory.measure.model import load_on_device
from toolkit.memory.measure.outcome import OutcomeKind
from toolkit.memory.measure.ranks import load_shared, ranks_of
from toolkit.memory.measure.refused import refusal
from toolkit.memory.measure.steps import infer, train
from toolkit.memory.measure.stopwatch import Stopwatch, Warm
from toolkit.memory.measure.watch import Watch
from toolkit.memory.trace.build import answering, prepare
from toolkit.memory.trace.refusal import UnsupportedTrace
from toolkit.memory.trace.trace import libraries

BUILD, PREPARE = "build", "prepare"
"""What comes before the phases of a ledger, as in a trace."""

SEED = 0
"""Weights and tokens are the same in every run: what goes by values, as tokens to experts, is too."""


def measure(job: Measurable, device: Device) -> dict[str, Any]:
    """Runs a job; what was read, or why there is nothing to read. Errors that are no answer are raised."""
    started = time.perf_counter()
    watch = Watch(device)
    reason = refusal(job.setting)
    if reason:
        return {"kind": OutcomeKind.REFUSED, "reason": reason}
    try:
        device.start()
        torch.manual_seed(SEED)
        found = _run(job, device, watch)
    except UnsupportedTrace as refused:
        return {"kind": OutcomeKind.REFUSED, "reason": str(refused)}
    except Exception as error:
        if not device.is_full(error):
            raise
        found = _full(watch, device, error)
    return {
        **found,
        "run": uuid4().hex,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": dict(device.description()),
        "libraries": libraries(job.setting),
        "seconds": round(time.perf_counter() - started, 2),
    }


def _run(job: Measurable, device: Device, watch: Watch) -> dict[str, Any]:
    setting = job.setting
    census = Census(device.kind)
    with warnings.catch_warnings(), ranks_of(setting, device.kind) as ranks:
        warnings.simplefilter("ignore")  # the libraries' words to their own users
        with torch.device(device.kind):
            watch.mark(BUILD)
            model = load_on_device(setting, job.facts) if ranks is None else load_shared(setting, job.facts, ranks)
            model = model if setting.trains else answering(model, setting)
            gc.collect()
            watch.mark(PhaseName.LOAD)
            if setting.trains and ranks is None:
                watch.mark(PREPARE)
                model = prepare(model, setting)
                gc.collect()
            if setting.trains or setting.lora is not None:
                census.count(Category.ADAPTERS, adapters_of(model))
        held = watch.close().now
        if setting.trains:
            again = train(setting, model, device.kind, watch, census)
        else:
            again = infer(setting, model, watch, census)
        census.count(Category.WEIGHTS, held_by(model))  # a first pass may cast biases, for good
        return {**_reading(device, watch, census, held), "laps": _laps(device, again)}


def _laps(device: Device, again: Warm) -> dict[str, list[float]]:
    """Seconds of warm runs, after all else was read: where the card is full by then, those that came to their end."""
    stopwatch = Stopwatch(device.settle)
    try:
        stopwatch.time(again)
    except Exception as error:
        if not device.is_full(error):
            raise
        stopwatch.abandon()
    return dict(stopwatch.laps)


def _reading(device: Device, watch: Watch, census: Census, held: int) -> dict[str, Any]:
    phases = {name: peaks for name, peaks in watch.phases.items() if name in set(PhaseName)}
    fullest = max(phases, key=lambda name: phases[name]["allocated"])
    used, reserved_now = device.used(), device.counters().reserved_now
    # A card that could not be asked before there was a context showed nothing that can be taken off.
    context = None if used is None else used - (device.before or 0) - reserved_now
    reserved = max(peaks["reserved"] for peaks in phases.values())
    return {
        "kind": OutcomeKind.MEASURED,
        "phase": fullest,
        "allocated": phases[fullest]["allocated"],
        "requested": max(peaks["requested"] for peaks in phases.values()),
        "active": max(peaks["active"] for peaks in phases.values()),
        "reserved": reserved,
        "context": context,
        "card": None if context is None else reserved + context,
        "retries": watch.retries,
        "held": held,
        "rows": census.rows,
        "phases": watch.phases,
    }


def _full(watch: Watch, device: Device, error: BaseException) -> dict[str, Any]:
    counters = device.counters()
    return {
        "kind": OutcomeKind.FULL,
        "phase": watch.phase,
        "allocated": counters.now,
        "reserved": counters.reserved,
        "retries": counters.retries,
        "reason": str(error).split("\n", 1)[0][:300],
    }


def with_card(job: Measurable, gpu: str) -> Measurable:
    """The same job on the card that it is measured on."""
    return replace(job, setting=replace(job.setting, gpu=gpu))
