"""The training step of bench/train_step.cc by PyTorch and transformers, on the same files.

    OMP_NUM_THREADS=2 python3 train_step.py FOLDER --steps 6 --precision f32 --attention sdpa

Prints one line of JSON. --compile uses torch.compile; --precision bf16 is autocast with f32 weights.
"""
import argparse
import json
import os
import resource
import time

START = time.monotonic()


def cpu_seconds():
    times = os.times()
    return times.user + times.system


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--attention", choices=["sdpa", "eager"], default="sdpa")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--checkpointing", action="store_true", help="recompute every block")
    options = parser.parse_args()

    import torch
    import transformers

    torch.set_num_threads(options.threads)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        f"{options.folder}/model", dtype=torch.float32, attn_implementation=options.attention)
    model.train()
    model.config.use_cache = False
    if options.checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    matrices = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}],
        lr=1e-3, betas=(0.9, 0.95), eps=1e-8, fused=True)
    forward = torch.compile(model) if options.compile else model
    with open(f"{options.folder}/tokens.json") as file:
        tokens = json.load(file)
    batches = [torch.tensor(rows) for rows in tokens["batches"]]

    out = {"loss": [], "grad_norm": [], "wall_seconds": [], "cpu_seconds": []}
    for step in range(options.steps):
        wall, cpu = time.monotonic(), cpu_seconds()
        batch = batches[step % len(batches)]
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=options.precision == "bf16"):
            loss = forward(input_ids=batch, labels=batch).loss
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        out["loss"].append(loss.item())
        out["grad_norm"].append(norm.item())
        out["wall_seconds"].append(time.monotonic() - wall)
        out["cpu_seconds"].append(cpu_seconds() - cpu)
        if step == 0:
            out["first_step_after_seconds"] = time.monotonic() - START
    blas = "MKL" if torch.backends.mkl.is_available() else "OpenBLAS or other"
    name = f"PyTorch {options.precision} {options.attention}"
    name += " compiled" if options.compile else ""
    name += " checkpointing" if options.checkpointing else ""
    out.update({
        "system": name,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__, "blas": blas},
        "model": tokens["name"],
        "parameters": sum(p.numel() for p in model.parameters()),
        "threads": torch.get_num_threads(),
        "tokens_per_step": batches[0].numel(),
        "peak_rss_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    })
    print(json.dumps(out))


if __name__ == "__main__":
    main()
