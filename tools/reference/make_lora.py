#!/usr/bin/env python3
"""Writes tests/golden/lora: random models with PEFT adapters, and what PEFT computes with them.

Each case is a folder: base/ (a Hugging Face directory), adapter/ (as PEFT saved it), batch.json (as
in tests/golden/transformers, with the mean loss) and expected.safetensors: logits [B,T,V],
merged_logits after merge_and_unload, gradient.NAME of the mean loss for every tensor of the adapter.
nf4.safetensors: a matrix and what bitsandbytes makes of it in NF4, blocks of 64.

Needs torch, transformers, peft, safetensors and bitsandbytes (all from PyPI); the tests read only
the files. Made with torch 2.15.0, transformers 5.23.0, peft 0.21.2, bitsandbytes 0.50.2.
"""
import json
import pathlib
import shutil
import sys

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import MistralConfig, MistralForCausalLM, Qwen2Config, Qwen2ForCausalLM

ROOT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "lora"
SIZES = dict(vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
             num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
             rms_norm_eps=1e-5)
CASES = {
    # What PEFT does by default for Mistral: queries and values.
    "mistral_qv": (lambda: MistralForCausalLM(MistralConfig(**SIZES, head_dim=8, sliding_window=None)),
                   dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"])),
    # Every linear layer, scaled by the root of the rank.
    "mistral_all_rslora": (lambda: MistralForCausalLM(MistralConfig(**SIZES, head_dim=8, sliding_window=6)),
                           dict(r=3, lora_alpha=5, use_rslora=True, target_modules="all-linear")),
    # Layers with biases and tied embeddings; the MLP and k_proj only.
    "qwen2_mlp": (lambda: Qwen2ForCausalLM(Qwen2Config(**SIZES, tie_word_embeddings=True)),
                  dict(r=2, lora_alpha=16,
                       target_modules=["k_proj", "gate_proj", "up_proj", "down_proj"])),
}


def make_case(name, make_model, lora):
    folder = ROOT / name
    shutil.rmtree(folder, ignore_errors=True)
    torch.manual_seed(len(name))
    model = make_model().to(torch.float32)
    with torch.no_grad():
        for parameter in model.parameters():  # larger than the default, so that nothing is flat
            parameter.normal_(0.0, 0.15) if parameter.dim() > 1 else parameter.add_(
                0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder / "base")
    (folder / "base" / "generation_config.json").unlink(missing_ok=True)
    model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", lora_dropout=0.0, **lora))
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if "lora_B" in key:  # zero at first: then the adapter would not be seen
                parameter.normal_(0.0, 0.2)
    model.save_pretrained(folder / "adapter")
    (folder / "adapter" / "README.md").unlink(missing_ok=True)
    path = folder / "adapter" / "adapter_config.json"
    config = json.loads(path.read_text())
    config["base_model_name_or_path"] = None
    config["target_modules"] = sorted(config["target_modules"])  # PEFT keeps a set
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")

    tokens = torch.randint(0, SIZES["vocab_size"], (2, 11))
    output = model(input_ids=tokens, labels=tokens)
    output.loss.backward()
    expected = {"logits": output.logits.detach()}
    rows = tokens.tolist()
    (folder / "batch.json").write_text(json.dumps({
        "tokens": rows, "targets": [row[1:] + [-1] for row in rows],
        "positions": [list(range(len(row))) for row in rows],
        "documents": [[0] * len(row) for row in rows], "loss": output.loss.item()}) + "\n")
    for key, parameter in model.named_parameters():
        if parameter.grad is not None:
            expected["gradient." + key.replace(".default", "")] = parameter.grad
    saved = load_file(folder / "adapter" / "adapter_model.safetensors")
    assert {key[9:] for key in expected if key.startswith("gradient.")} == set(saved)
    with torch.no_grad():
        expected["merged_logits"] = model.merge_and_unload()(input_ids=tokens).logits
    save_file({key: value.contiguous() for key, value in expected.items()},
              folder / "expected.safetensors")


def make_nf4():
    import bitsandbytes.functional as bnb
    torch.manual_seed(5)
    weight = torch.randn(6, 192) * 0.05
    codes, state = bnb.quantize_4bit(weight, blocksize=64, quant_type="nf4")
    save_file({"weight": weight, "dequantized": bnb.dequantize_4bit(codes, state)},
              ROOT / "nf4.safetensors")


if __name__ == "__main__":
    torch.set_num_threads(1)
    ROOT.mkdir(parents=True, exist_ok=True)
    for case, (make, options) in CASES.items():
        make_case(case, make, options)
    make_nf4()
    sys.exit(0)
