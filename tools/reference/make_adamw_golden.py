"""Writes tests/golden/adamw: five AdamW steps of one small model, four times with other batches.

    PEERS/bin/python3 tools/reference/make_adamw_golden.py [tests/golden/adamw]

Each run twice: by PyTorch and transformers in f32 (torch.optim.AdamW, clip_grad_norm_), and by
exact_model.py with AdamW written out in f64. Adam's first steps are nearly signs of gradients, so where
a gradient is close to zero rounding decides; hence the question is not whether two f32 runs agree but how
far each is from f64. The format is tests/golden/README.md.
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
import make_golden

HERE = pathlib.Path(__file__).resolve().parent
RUNS = 4
CASE = dict(name="adamw", family="mistral", hidden=16, heads=2, kv_heads=1, head_dim=8, ffn=24, vocab=31,
            window=6, style="classic", rows=[[7, 9], [12, ("pad", 4)]], how="packed")
SETTINGS = dict(beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.1, clip_norm=2.6)
LEARNING_RATES = [0.001, 0.004, 0.004, 0.003, 0.002]


def run_torch(folder, batches):
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager")
    groups = [
        {"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": SETTINGS["weight_decay"]},
        {"params": [p for p in model.parameters() if p.dim() == 1], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=(SETTINGS["beta1"], SETTINGS["beta2"]),
                                  eps=SETTINGS["eps"])
    losses, norms = [], []
    for batch, lr in zip(batches, LEARNING_RATES):
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.zero_grad()
        loss = model(**make_golden.arguments(CASE, batch), use_cache=False).loss
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), SETTINGS["clip_norm"])
        optimizer.step()
        losses.append(loss.item())
        norms.append(norm.item())
    return losses, norms, {name: p.detach() for name, p in model.named_parameters()}


def run_exact(start, batches):
    parameters = {name: value.double().requires_grad_() for name, value in start.items()}
    first = {name: torch.zeros_like(p) for name, p in parameters.items()}
    second = {name: torch.zeros_like(p) for name, p in parameters.items()}
    config = cases.exact_config(CASE)
    losses, norms = [], []
    for step, (batch, lr) in enumerate(zip(batches, LEARNING_RATES), start=1):
        loss = exact_model.mean_loss(exact_model.logits(config, parameters, batch), batch)
        gradients = dict(zip(parameters, torch.autograd.grad(loss, parameters.values())))
        norm = torch.stack([g.square().sum() for g in gradients.values()]).sum().sqrt()
        # PyTorch's definition, with its 1e-6.
        scale = min(1.0, SETTINGS["clip_norm"] / (norm.item() + 1e-6))
        with torch.no_grad():
            for name, p in parameters.items():
                g = scale * gradients[name]
                first[name] = SETTINGS["beta1"] * first[name] + (1 - SETTINGS["beta1"]) * g
                second[name] = SETTINGS["beta2"] * second[name] + (1 - SETTINGS["beta2"]) * g * g
                m = first[name] / (1 - SETTINGS["beta1"] ** step)
                v = second[name] / (1 - SETTINGS["beta2"] ** step)
                decay = SETTINGS["weight_decay"] if p.dim() > 1 else 0.0
                p -= lr * (m / (v.sqrt() + SETTINGS["eps"]) + decay * p)
        losses.append(loss.item())
        norms.append(norm.item())
    return losses, norms, {name: p.detach() for name, p in parameters.items()}


def main():
    default = HERE.parent.parent / "tests" / "golden" / "adamw"
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(99)
    make_golden.write_model(CASE, folder, generator)
    start = {name: p.detach() for name, p in transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32).named_parameters()}
    runs, tensors = [], {}
    for number in range(RUNS):
        batches = [cases.make_batch(CASE, generator) for _ in LEARNING_RATES]
        exact_losses, exact_norms, exact = run_exact(start, batches)
        losses, norms, trained = run_torch(folder, batches)
        runs.append(dict(batches=batches, exact=dict(loss=exact_losses, grad_norm=exact_norms),
                         torch=dict(loss=losses, grad_norm=norms)))
        for name in start:
            # Rounded to f32: two orders below the distances that are compared.
            tensors[f"exact.{number}.{name}"] = exact[name].float().contiguous()
            tensors[f"torch.{number}.{name}"] = trained[name].contiguous()
        off = torch.cat([(trained[n].double() - exact[n]).flatten() for n in start]).norm()
        moved = torch.cat([(exact[n] - start[n].double()).flatten() for n in start]).norm()
        worst = max(abs(a / b - 1) for a, b in zip(losses, exact_losses))
        print(f"run {number}: norms {[round(n, 2) for n in norms]}, torch f32 is {off / moved:.1e} of the "
              f"movement from f64, losses {worst:.1e}")
    save_file(tensors, folder / "final.safetensors")
    file = dict(SETTINGS, lr=LEARNING_RATES, transformers=transformers.__version__,
                torch=torch.__version__.split("+")[0])
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in file.items()]
    lines.append('  "runs": [\n' + ",\n".join("    " + json.dumps(run) for run in runs) + "\n  ]")
    (folder / "runs.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    for path in folder.iterdir():
        path.chmod(0o644)


if __name__ == "__main__":
    main()
