"""The decoder families by hand in f64, from the papers' formulas: the truth that f32 runs are held to.

transformers cannot serve as that: run in f64 it still computes the softmax, the norms and the rotary
angles in f32. Slow and plain on purpose; gradients come from autograd.
"""
import math

import torch

F64 = torch.float64


def rope_frequencies(config):
    """Angle per position of each pair of elements, and the factor on cos and sin."""
    dim = config["head_dim"]
    rope = config["rope"]
    base = 1.0 / rope["rope_theta"] ** (torch.arange(0, dim, 2, dtype=F64) / dim)
    kind = rope.get("rope_type", "default")
    if kind == "default":
        return base, 1.0
    factor = rope["factor"]
    if kind == "linear":
        return base / factor, 1.0
    if kind == "llama3":
        low, high = rope["low_freq_factor"], rope["high_freq_factor"]
        turns = rope["original_max_position_embeddings"] * base / (2 * math.pi)
        keep = ((turns - low) / (high - low)).clamp(0.0, 1.0)
        return keep * base + (1 - keep) * base / factor, 1.0
    if kind == "yarn":
        original = rope["original_max_position_embeddings"]

        def pair_with(turns):
            return dim * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(rope["rope_theta"]))

        low = max(math.floor(pair_with(rope.get("beta_fast", 32.0))), 0)
        high = min(math.ceil(pair_with(rope.get("beta_slow", 1.0))), dim - 1)
        ramp = ((torch.arange(dim // 2, dtype=F64) - low) / max(high - low, 1e-3)).clamp(0.0, 1.0)
        return (1 - ramp) * base + ramp * base / factor, 0.1 * math.log(factor) + 1.0
    raise ValueError(kind)


def rotate(x, positions, frequencies, magnitude):
    """x [B,heads,T,D]: element i turns with element i + D/2."""
    angle = positions.to(F64)[:, None, :, None] * frequencies
    cos, sin = magnitude * angle.cos(), magnitude * angle.sin()
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


def rmsnorm(x, weight, eps):
    return x / (x.square().mean(-1, keepdim=True) + eps).sqrt() * weight


def allowed(batch, window):
    """[B,T,T]: which key each token sees. Padding sees itself, which nobody looks at."""
    documents = torch.tensor(batch["documents"])
    t = torch.arange(documents.shape[1])
    same = documents[:, :, None] == documents[:, None, :]
    seen = same & (t[None, :] <= t[:, None])
    if window:
        seen = seen & (t[:, None] - t[None, :] < window)
    return seen


def logits(config, parameters, batch):
    """[B,T,V] of `batch` (tests/golden/README.md) with `parameters` in f64."""
    def get(name):
        return parameters[name]

    def linear(x, name):
        y = x @ get(name + ".weight").T
        return y + get(name + ".bias") if name + ".bias" in parameters else y

    eps = config["rms_norm_eps"]
    heads, kv_heads, dim = config["heads"], config["kv_heads"], config["head_dim"]
    positions = torch.tensor(batch["positions"])
    frequencies, magnitude = rope_frequencies(config)
    x = get("model.embed_tokens.weight")[torch.tensor(batch["tokens"])]
    rows, length = x.shape[:2]
    for layer in range(config["layers"]):
        name = f"model.layers.{layer}."
        window = config["window"] if layer >= config.get("first_window_layer", 0) else None
        normed = rmsnorm(x, get(name + "input_layernorm.weight"), eps)

        def split(part, count):
            y = linear(normed, f"{name}self_attn.{part}_proj").view(rows, length, count, dim)
            norm = f"{name}self_attn.{part}_norm.weight"
            if norm in parameters:
                y = rmsnorm(y, get(norm), eps)
            return y.transpose(1, 2)

        q = rotate(split("q", heads), positions, frequencies, magnitude)
        k = rotate(split("k", kv_heads), positions, frequencies, magnitude)
        v = split("v", kv_heads)
        k, v = (y.repeat_interleave(heads // kv_heads, dim=1) for y in (k, v))
        scores = q @ k.transpose(-1, -2) / math.sqrt(dim)
        scores = scores.masked_fill(~allowed(batch, window)[:, None], -math.inf)
        attended = (scores.softmax(-1) @ v).transpose(1, 2).reshape(rows, length, heads * dim)
        x = x + linear(attended, name + "self_attn.o_proj")
        normed = rmsnorm(x, get(name + "post_attention_layernorm.weight"), eps)
        gate = linear(normed, name + "mlp.gate_proj")
        up = linear(normed, name + "mlp.up_proj")
        x = x + linear(gate * gate.sigmoid() * up, name + "mlp.down_proj")
    x = rmsnorm(x, get("model.norm.weight"), eps)
    head = "lm_head.weight" if "lm_head.weight" in parameters else "model.embed_tokens.weight"
    return x @ get(head).T


def mean_loss(all_logits, batch):
    targets = torch.tensor(batch["targets"])
    chosen = targets >= 0
    log_prob = all_logits[chosen].log_softmax(-1)
    return -log_prob.gather(1, targets[chosen][:, None]).mean()
