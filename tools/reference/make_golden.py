"""Writes tests/golden/transformers: random models, and what Hugging Face transformers makes of them.

    PEERS/bin/python3 tools/reference/make_golden.py [tests/golden/transformers]

The environment is requirements.txt beside this file; the format is tests/golden/README.md. Every case is
also computed by exact_model.py in f64, so that a wrong use of transformers (a mask that it ignores, say)
cannot become the law.
"""
import json
import pathlib
import shutil
import sys

import torch
import transformers
from safetensors.torch import save_file

import cases
import exact_model

HERE = pathlib.Path(__file__).resolve().parent


def randomize(model, generator):
    """Weights large enough that attention and gates are far from uniform."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if "norm" in name:
                parameter.copy_(1.0 + 0.2 * noise)
            elif parameter.dim() == 1:
                parameter.copy_(0.3 * noise)
            else:
                parameter.copy_(noise * (1.0 if "embed" in name else 1.2 * parameter.shape[1] ** -0.5))


def write_model(case, folder, generator):
    classic = cases.classic_config(case)
    config = transformers.AutoConfig.for_model(**classic)
    model = transformers.AutoModelForCausalLM.from_config(config)
    randomize(model, generator)
    model.to(torch.bfloat16 if case.get("bf16") else torch.float32)
    model.save_pretrained(folder, max_shard_size=case.get("shards", "1GB"))
    (folder / "generation_config.json").unlink(missing_ok=True)
    if case["style"] == "classic":
        (folder / "config.json").write_text(json.dumps(classic, indent=2) + "\n")


def arguments(case, batch):
    """The batch as transformers takes it."""
    documents = torch.tensor(batch["documents"])
    targets = torch.tensor(batch["targets"])
    # It shifts labels itself: labels[t + 1] is the target of t.
    labels = torch.full_like(targets, -100)
    labels[:, 1:] = torch.where(targets[:, :-1] >= 0, targets[:, :-1], -100)
    given = dict(input_ids=torch.tensor(batch["tokens"]), labels=labels)
    if case["how"] == "padding":
        given["attention_mask"] = (documents >= 0).long()
    else:
        given["position_ids"] = torch.tensor(batch["positions"])
    if case["how"] == "mask":
        seen = exact_model.allowed(batch, case.get("window"))[:, None]
        given["attention_mask"] = torch.where(seen, 0.0, torch.finfo(torch.float32).min)
    return given


def distance(a, b):
    return ((a.double() - b.double()).norm() / b.double().norm()).item()


def make(case, root):
    folder = root / case["name"]
    folder.mkdir(parents=True)
    generator = torch.Generator().manual_seed(1 + cases.CASES.index(case))
    write_model(case, folder, generator)
    batch = cases.make_batch(case, generator)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager")
    out = model(**arguments(case, batch), use_cache=False)
    out.loss.backward()
    real = torch.tensor(batch["documents"]) >= 0
    parameters = dict(model.named_parameters())

    exact = {name: value.detach().double().requires_grad_() for name, value in parameters.items()}
    exact_logits = exact_model.logits(cases.exact_config(case), exact, batch)
    exact_loss = exact_model.mean_loss(exact_logits, batch)
    exact_loss.backward()
    from_exact = {
        "logits": distance(out.logits[real], exact_logits[real]),
        "loss": abs(out.loss.item() / exact_loss.item() - 1),
        "gradient": max(distance(p.grad, exact[name].grad) for name, p in parameters.items()),
    }
    print(f"{case['name']:28} {sum(p.numel() for p in parameters.values()):6} parameters, from f64: "
          + ", ".join(f"{key} {value:.1e}" for key, value in from_exact.items()))
    if from_exact["logits"] > 2e-6 or from_exact["loss"] > 2e-6 or from_exact["gradient"] > 1e-5:
        sys.exit(f"{case['name']}: transformers and the formulas disagree")

    expected = {"logits": torch.where(real[..., None], out.logits.detach(), torch.zeros(()))}
    expected.update({"gradient." + name: p.grad for name, p in parameters.items()})
    save_file({k: v.contiguous() for k, v in expected.items()}, folder / "expected.safetensors")
    batch.update(loss=out.loss.item(), exact_loss=exact_loss.item(),
                 transformers=transformers.__version__, torch=torch.__version__.split("+")[0])
    lines = ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in batch.items())
    (folder / "batch.json").write_text("{\n" + lines + "\n}\n")
    for file in folder.iterdir():
        file.chmod(0o644)


def main():
    default = HERE.parent.parent / "tests" / "golden" / "transformers"
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    shutil.rmtree(root, ignore_errors=True)
    torch.set_num_threads(1)
    for case in cases.CASES:
        make(case, root)


if __name__ == "__main__":
    main()
