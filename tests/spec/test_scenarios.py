"""Scenarios: defaults, `extends`, lists, ranges and references.

What contradicts, and what narrows a profile.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.spec.build import CLAIM, HEAD, good, load, said, scenario_findings
from toolkit.spec import Choices, Fixed, Range, Reference, Scenario


def scenario(folder: Path, fields: str, name: str = "s", before: str = "") -> Scenario:
    text = f"{before}{HEAD}  s: {{{fields}}}\n{CLAIM}"
    return good(folder, text).scenarios[name]


BASE = "model: Qwen/Qwen2.5-7B, method: full, weights: bf16"


def test_the_ways_to_say_a_field(tmp_path: Path) -> None:
    fields = (
        BASE + ", batch_size: {from: 1, to: 4}, sequence_length: [512, 1024], amp: true, "
        'run: {examples: "{train}", epochs: 3}, gradients: null, stack: {transformers: 5.10, '
        "flash-attn: 2.7.0.post2}, "
        "quotes: {batch_size: small, sequence_length: short}"
    )
    said_ = scenario(tmp_path, fields)
    values = {name: field.value for name, field in said_.fields.items()}
    assert values["batch_size"] == Range(1, 4)
    assert values["sequence_length"] == Choices((512, 1024))
    assert values["amp"] == Fixed(value=True)
    assert values["run.examples"] == Reference("train")
    assert values["gradients"] == Fixed(None)
    assert values["stack.transformers"] == Fixed("5.10")
    assert values["stack.flash-attn"] == Fixed("2.7.0.post2")
    assert said_.unresolved == ("run.examples",)
    line = f"  s: {{{fields}}}"
    assert said_.place_of("batch_size").column == line.index("{from") + 1
    assert said_.place_of("optimizer") == said_.place


def test_lora_targets_are_a_value_or_a_choice_of_values(tmp_path: Path) -> None:
    start = "model: Qwen/Qwen2.5-7B, method: lora, weights: bf16, "
    one = scenario(tmp_path, start + "lora: {targets: [q_proj, v_proj]}")
    assert one.fields["lora.targets"].value == Fixed(("q_proj", "v_proj"))
    several = scenario(tmp_path, start + 'lora: {targets: [[q_proj, v_proj], all-linear]}, quotes: {lora: "x"}')
    assert several.fields["lora.targets"].value == Choices((("q_proj", "v_proj"), "all-linear"))


def test_defaults_and_extends(tmp_path: Path) -> None:
    text = """\
document: g.md
defaults: {model: Qwen/Qwen2.5-7B, optimizer: adamw_8bit, batch_size: 4, lora: {rank: 8, alpha: 16},
  gpu: 24 GB}
scenarios:
  base: {method: lora, weights: bf16, lora: {rank: 16}, sequence_length: 512}
  child: {extends: base, sequence_length: 1024, lora: {dropout: 0.1}, gpu: null}
  fresh: {extends: base, lora: null}
  full: {extends: base, method: full}
  run: {method: inference, generated_length: 10}
  answer: {method: inference, lora: {rank: 32}}
claims: [{quantity: weights, scenario: base, quote: "a {}"}]
"""
    scenarios = good(tmp_path, text).scenarios

    def values(name: str) -> dict[str, object]:
        return {
            key: field.value.value for key, field in scenarios[name].fields.items() if isinstance(field.value, Fixed)
        }

    assert values("base")["lora.rank"] == 16
    assert values("base")["lora.alpha"] == 16
    assert values("child") == {
        **values("base"),
        "sequence_length": 1024,
        "lora.dropout": 0.1,
        "gpu": None,
    }
    assert not any(name.startswith("lora.") for name in values("fresh"))
    assert not any(name.startswith("lora.") for name in values("full"))
    assert values("full")["optimizer"] == "adamw_8bit"
    assert values("run") == {
        "model": "Qwen/Qwen2.5-7B",
        "method": "inference",
        "generated_length": 10,
        "batch_size": 4,
        "gpu": "24 GB",
    }
    assert (values("answer")["lora.rank"], values("answer")["lora.alpha"]) == (32, 16)
    assert scenarios["child"].place_of("lora.rank").line == 5
    assert scenarios["child"].place_of("lora.alpha").line == 2


def test_scenarios_may_extend_later_ones(tmp_path: Path) -> None:
    text = f"document: g.md\nscenarios:\n  a: {{extends: b, batch_size: 2}}\n  b: {{{BASE}}}\n" + CLAIM.replace(
        "full", "a"
    )
    assert good(tmp_path, text).scenarios["a"].fixed("batch_size") == 2


def test_a_circle_of_extends_is_told_once_for_each_way_into_it(tmp_path: Path) -> None:
    text = f"document: g.md\nscenarios:\n  a: {{extends: b, {BASE}}}\n  b: {{extends: a}}\n" + CLAIM.replace(
        "full", "a"
    )
    _, findings = load(tmp_path, text)
    assert said(findings) == ["S113 scenarios extend each other in a circle: a, b, a"]


def test_long_chains_are_refused(tmp_path: Path) -> None:
    lines = "".join(f"  s{i}: {{extends: s{i + 1}}}\n" for i in range(40))
    text = f"document: g.md\nscenarios:\n{lines}  s40: {{{BASE}}}\n" + CLAIM.replace("full", "s0")
    _, findings = load(tmp_path, text)
    assert "S112 scenarios extend each other more than 8 deep" in said(findings)


def test_a_quote_stays_with_the_field_that_it_speaks_of(tmp_path: Path) -> None:
    text = (
        f"document: g.md\nscenarios:\n  a: "
        f"{{{BASE}, batch_size: {{from: 1, to: 4}}, quotes: {{batch_size: small}}}}\n"
        "  b: {extends: a}\n  c: {extends: a, batch_size: {from: 1, to: 2}}\n" + CLAIM.replace("full", "a")
    )
    _, findings = load(tmp_path, text)
    assert [(finding.code, finding.place.line) for finding in findings] == [("S110", 5)]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("method: qlora, weights: int8", "S113 method qlora trains beside 4-bit weights, not int8"),
        ("method: lora, weights: nf4", "S113 method lora beside 4-bit weights (nf4) is qlora"),
        ("method: full, weights: mxfp4", "S113 method full cannot train mxfp4 weights"),
        ("method: full, weights: fp32, master_weights: fp32", "S113 fp32 weights need no fp32 master copy"),
        (
            "method: lora, weights: bf16, master_weights: fp32",
            "S113 method lora trains no weights that have a master copy",
        ),
        (
            "method: full, weights: bf16, master_weights: bf16",
            "S113 DeepSpeed's ZeRO alone keeps bf16 master weights",
        ),
        (
            "method: full, master_weights: bf16, optimizer_states: fp32, parallel: {gpus: 2, strategy: zero3}",
            "S113 DeepSpeed's states have the dtype of its master weights, bf16, not fp32",
        ),
        (
            "method: full, weights: bf16, optimizer_states: bf16, parallel: {gpus: 2, strategy: zero2}",
            "S113 DeepSpeed's states have the dtype of its master weights, fp32, not bf16",
        ),
        (
            "method: full, weights: bf16, optimizer: adamw, optimizer_states: int8",
            "S113 adamw has no 8-bit states",
        ),
        (
            "method: full, weights: bf16, optimizer: lion, optimizer_implementation: fused",
            "S113 lion is no optimizer of torch",
        ),
        (
            "method: full, weights: bf16, optimizer: rmsprop, optimizer_implementation: fused",
            "S113 torch has no fused rmsprop for a GPU",
        ),
        (
            "method: full, weights: bf16, stack: {trainer: trl, result: loss}",
            "S113 stack.result is for stack.trainer plain",
        ),
        (
            "method: full, weights: bf16, stack: {result: next}",
            "S113 stack.result is for stack.trainer plain",
        ),
        (
            "method: inference, weights: bf16, generated_length: 8, stack: {trainer: plain, result: loss}",
            "S113 a result is not held so in inference: loss",
        ),
        (
            "method: full, weights: bf16, stack: {trainer: plain, result: end}",
            "S113 a result is not held so in training: end",
        ),
        (
            "method: inference, weights: bf16, generated_length: 0, evaluation: cached",
            "S113 evaluation is for stack.trainer plain",
        ),
        (
            "method: inference, weights: bf16, generated_length: 8, evaluation: cached, stack: {trainer: plain}",
            "S113 evaluation is for generated_length 0",
        ),
        (
            "method: lora, weights: bf16, optimizer: galore_adamw",
            "S113 galore_adamw projects the gradients of whole matrices, and method lora has none",
        ),
        (
            "method: full, weights: bf16, optimizer: muon, galore: {rank: 8}",
            "S113 galore.rank is for optimizers apollo_adamw, galore_adafactor, galore_adamw, galore_adamw_8bit",
        ),
        (
            "method: full, weights: bf16, galore: {rank: 8}",
            "S113 galore.rank is for optimizers apollo_adamw, galore_adafactor",
        ),
        ("method: full, weights: bf16, optimizer: lora_fa", "S113 lora_fa trains LoRA's B alone"),
        (
            "method: lora, weights: bf16, optimizer: lora_fa, lora: {rank: 8, frozen: b}",
            "S113 lora_fa leaves A as it is",
        ),
        ("method: lora, weights: bf16, lora: {rank: 8, blocks: 2}", "S113 no module is named"),
        ("method: lora, weights: bf16, lora: {rank: 8, blocked_a: [x]}", "S113 lora.blocked_a needs lora.blocks"),
        ("method: full, weights: bf16, labels: 3", "S113 labels are for head sequence-classification"),
        (
            "method: full, head: sequence-classification(2), labels: 3",
            "S113 the head says its number of labels too",
        ),
        ("method: full, parallel: {gpus: 2}", "S113 2 GPUs need a strategy to share the run"),
        ("method: full, parallel: {strategy: ddp}", "S113 ddp is for several GPUs"),
        (
            "method: full, parallel: {gpus: 2, strategy: ddp, offload: true}",
            "S113 ddp keeps all of a copy on its GPU",
        ),
        (
            "method: full, parallel: {gpus: 2, strategy: zero2, offload: true}",
            "S113 zero2 keeps weights on the GPU",
        ),
        (
            "method: full, parallel: {gpus: 2, strategy: fsdp, offload: optimizer}",
            "S113 fsdp has no offloading of the optimizer alone",
        ),
        (
            "method: full, parallel: {gpus: 2, strategy: fsdp, reduce_bucket_size: 7}",
            "S113 parallel.reduce_bucket_size is for DeepSpeed",
        ),
        (
            "method: full, parallel: {gpus: 2, strategy: zero2, max_reuse_distance: 7}",
            "S113 parallel.max_reuse_distance is for strategy zero3",
        ),
        (
            "method: full, parallel: {gpus: 2, strategy: zero2, reshard_after_forward: false}",
            "S113 parallel.reshard_after_forward is for strategies fsdp and fsdp2",
        ),
        ("method: full, stack: {trainer: vllm}", "S113 vllm does not train, and method is full"),
        (
            "method: inference, engine: {max_num_seqs: 4}",
            "S113 engine.max_num_seqs is for stack.trainer vllm",
        ),
        ("method: inference, gradient_checkpointing: true", "S113 gradient_checkpointing is for training"),
        (
            "method: inference, weights: bf16, double_quant: true",
            "S113 double_quant is for weights fp4 or nf4",
        ),
        ("method: inference, kernels: {norm: true}", "S113 kernels.norm is for training"),
        ("method: inference, upcast: false", "S113 upcast is for training"),
        (
            "method: inference, weights: nf4, group_size: 64",
            "S113 group_size is for weights awq-int4 or gptq-int4 or gptq-int8",
        ),
        ("method: full, cache: {implementation: static}", "S113 cache.implementation is for inference"),
        ("method: inference, cache: {max_cache_len: 9}", "S113 cache.max_cache_len is for cache.implementation static"),
        (
            "method: inference, cache: {implementation: static, nbits: 4}",
            "S113 cache.nbits is for cache.implementation quantized",
        ),
        (
            "method: inference, cache: {implementation: quantized, nbits: 8}",
            "S113 quanto has cache.nbits 2 or 4, not 8",
        ),
        (
            "method: inference, cache: {implementation: quantized, backend: hqq, axis_key: -1}",
            "S113 hqq has cache.axis_key 0 or 1, not -1",
        ),
        (
            "method: inference, cache: {implementation: quantized, backend: fp8, residual_length: 9}",
            "S113 the fp8 backend has one scale for all, and no cache.residual_length",
        ),
        (
            "method: inference, stack: {trainer: vllm}, cache: {implementation: static}",
            "S113 vllm keeps keys and values in its own way",
        ),
        ("method: full, generated_length: 10", "S113 generated_length is for inference"),
        ("method: full, lora: {rank: 8}", "S113 lora.rank is for adapters"),
        ("method: ia3, lora: {rank: 8}", "S113 lora.rank is for adapters"),
        (
            "method: inference, weights: bf16, lora: {alpha: 16}",
            "S113 lora.alpha is of adapters, which a model that answers has where lora.rank says so",
        ),
        ("method: lora, peft: {rank: 8}", "S113 peft.rank is for methods of peft beside LoRA"),
        ("method: ia3, peft: {rank: 8}", "S113 peft.rank is for adalora, "),
        ("method: vera, peft: {block_size: 8}", "S113 peft.block_size is for boft, c3a, oft"),
        ("method: prompt_tuning", "S113 method prompt_tuning needs peft.num_virtual_tokens"),
        ("method: loha, weights: nf4", "S113 peft has no loha for nf4 weights"),
    ],
)
def test_contradictions(fields: str, message: str, tmp_path: Path) -> None:
    found = scenario_findings(tmp_path, fields)
    assert len(found) == 1
    assert found[0].startswith(message)


@pytest.mark.parametrize(
    "fields",
    [
        "method: inference, optimizer: none, gradient_checkpointing: false, amp: false",
        "method: inference, gradient_accumulation: 1",
        "method: full, generated_length: 0, double_quant: false",
        "method: inference, weights: nf4, double_quant: true",
        "method: lora, weights: int8",
        "method: ia3, weights: nf4",
        "method: prompt_tuning, weights: nf4, peft: {num_virtual_tokens: 8}",
        "method: oft, peft: {rank: 8, block_size: 0, targets: [q_proj]}",
        "method: inference, lora: {rank: 8}",
        "method: full, head: sequence-classification, labels: 3",
        "method: full, parallel: {gpus: 8, strategy: zero3, offload: true}",
        "method: full, parallel: {strategy: zero3, offload: true}",
        "method: full, parallel: {gpus: 2, strategy: zero1, offload: optimizer, buckets: auto}",
        "method: full, parallel: {gpus: 2, strategy: zero3, sub_group_size: 1000000, overlap_comm: false}",
        "method: full, parallel: {gpus: 2, strategy: fsdp2, reshard_after_forward: false}",
        "method: inference, stack: {trainer: vllm}, engine: {gpu_memory_utilization: 0.9}",
        "method: inference, stack: {trainer: vllm}, engine: {enforce_eager: true}",
        "method: full, weights: bf16, master_weights: fp32, gradients: fp32, optimizer_states: bf16",
        "method: full, weights: bf16, master_weights: bf16, parallel: {gpus: 2, strategy: zero3}",
        "method: full, optimizer: adamw_8bit, optimizer_states: int8",
        "method: full, gradient_checkpointing: non-reentrant",
        "method: full, gpu: A100",
        "method: full, cache: {implementation: dynamic}",
        "method: inference, cache: {implementation: static, max_cache_len: 4096}",
        "method: inference, cache: {implementation: quantized, nbits: 2, axis_value: -1, q_group_size: 32}",
        "method: inference, cache: {implementation: quantized, backend: hqq, nbits: 8, residual_length: 64}",
    ],
)
def test_no_contradictions(fields: str, tmp_path: Path) -> None:
    assert scenario_findings(tmp_path, fields) == []


@pytest.mark.parametrize(
    ("fields", "finding"),
    [
        ("batch_size: [1, 4]", "S110 batch_size: 1, 4 narrows what is open, and no quote says so"),
        (
            "batch_size: {from: 1, to: 16}, quotes: {batch_size: x}",
            "S110 batch_size: 1 to 16 lies outside the profile",
        ),
        ("batch_size: [1, 16], quotes: {batch_size: x}", "S110 batch_size: 16 lies outside the profile"),
        (
            "gradient_accumulation: {from: 1, to: 8}, quotes: {gradient_accumulation: x}",
            "S110 gradient_accumulation: 1 to 8",
        ),
        (
            "parallel: {gpus: [1, 2], strategy: ddp}, quotes: {parallel: x}",
            "S110 parallel.gpus: 1 lies outside",
        ),
        ("batch_size: {from: 8, to: 16}, quotes: {batch_size: 'batch size ({8–16})'}", None),
        ("batch_size: {from: 2, to: 4}, quotes: {batch_size: x}", None),
        ("sequence_length: [512, 600, 4096], quotes: {sequence_length: x}", None),
        ("gradient_checkpointing: [true, false], quotes: {gradient_checkpointing: x}", None),
    ],
)
def test_narrowing_needs_a_quote_and_may_not_widen(fields: str, finding: str | None, tmp_path: Path) -> None:
    found = scenario_findings(tmp_path, f"method: full, weights: bf16, {fields}")
    if finding is None:
        assert found == []
    else:
        assert len(found) == 1
        assert found[0].startswith(finding)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("batch_size: {from: 4, to: 2}", "S104 to: the range runs backwards, from 4 to 2"),
        ("batch_size: {from: 4}", "S105 batch_size needs to"),
        ("batch_size: []", "S104 batch_size: 0 values are not a list of 1 to 64 values"),
        ("batch_size: [1, 1]", "S104 batch_size: 1 is listed twice"),
        ("batch_size: [1, two]", "S104 batch_size: two is not a positive integer"),
        ("amp: {from: 1, to: 2}", "S104 amp: a range is for whole numbers; true or false is asked for"),
        ("run: {epochs: {train}}", "S104 epochs: a mapping stands where a value is asked for"),
        ("lora: {targets: q_proj}", "S104 targets: q_proj is not all-linear or a list of module names"),
        ("lora: {targets: [q_proj, q_proj]}", "S104 targets: a module name is listed twice"),
        ("lora: {targets: ['.*']}", "S104 targets: .* is not a module name such as q_proj or mlp.up_proj"),
        ("lora: {dropout: 1.5}", "S104 dropout: 1.5 is not a share from 0 to 1"),
        ("stack: {torch: latest}", "S104 torch: latest is not a version such as 5.23 or 2.8.0"),
        ("head: sequence-classifier", "S107 head: sequence-classifier is not a head"),
        ("gradient_checkpointing: yes", "S107 gradient_checkpointing: yes is not"),
        ("lora: 16", "S104 lora: 16 is not a mapping of fields"),
        ("batch_size: null", "S106 batch_size: `null` means different things"),
    ],
)
def test_wrong_values(fields: str, message: str, tmp_path: Path) -> None:
    found = scenario_findings(tmp_path, f"method: lora, {fields}")
    assert any(each.startswith(message) for each in found), found


def test_models_may_be_files_and_configs_beside_the_spec(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama", "hidden_size": 64}')
    from_file = scenario(tmp_path, "model: config.json, method: inference")
    assert (from_file.model, from_file.model_type) == ("config.json", "llama")
    inline = scenario(
        tmp_path, "model: {model_type: gpt2, n_embd: 64, tie: true, x: [1.5, null, no]}, method: inference"
    )
    assert inline.model == '{"model_type": "gpt2", "n_embd": 64, "tie": true, "x": [1.5, null, "no"]}'
    assert inline.model_type == "gpt2"
    _, findings = load(tmp_path, HEAD + "  s: {model: none.json, method: inference}\n" + CLAIM)
    assert said(findings) == ["S107 model: none.json is not known: no such file"]
    _, findings = load(tmp_path, HEAD + "  s: {model: {hidden_size: 3}, method: inference}\n" + CLAIM)
    assert said(findings) == ["S104 model: a config that is written out needs its model_type"]
