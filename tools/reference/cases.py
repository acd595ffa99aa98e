"""The random models and batches of tests/golden/transformers: a row a model."""
import torch

# What a case may say; the rest of config.json follows.
#   style   "classic": config.json as models on the hub have it (rope_theta, rope_scaling);
#           "current": as transformers itself writes it
#   rows    what each row of the batch holds, in order: documents (a length) and padding ("pad", length)
#   how     how transformers is told about documents: "padding" (2D mask), "packed" (position ids that
#           start again; it finds the documents itself), "mask" (a 4D mask)
CASES = [
    dict(name="mistral_window", family="mistral", hidden=24, heads=4, kv_heads=2, head_dim=10, ffn=40,
         vocab=61, window=5, style="classic", rows=[[17], [17]], how="padding"),
    dict(name="mistral_packed_bf16_shards", family="mistral", hidden=24, heads=4, kv_heads=2, head_dim=8,
         ffn=40, vocab=67, window=6, style="current", rows=[[9, 3, 8], [1, 13, ("pad", 6)]],
         how="packed", bf16=True, shards="12KB"),
    dict(name="llama2_padded", family="llama", hidden=32, heads=4, kv_heads=4, head_dim=8, ffn=48,
         vocab=64, style="classic", rows=[[15], [10, ("pad", 5)], [("pad", 4), 11]], how="padding"),
    dict(name="llama2_tied_packed", family="llama", hidden=24, heads=4, kv_heads=4, head_dim=6, ffn=40,
         vocab=97, tied=True, style="classic", rows=[[5, 9, 4], [12, ("pad", 6)]], how="mask"),
    dict(name="llama3_scaled_bf16", family="llama", hidden=24, heads=3, kv_heads=1, head_dim=8, ffn=40,
         vocab=64, style="classic", theta=500.0, bf16=True, rows=[[80]], how="padding",
         rope=dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                   original_max_position_embeddings=64)),
    dict(name="llama_linear_biases_shards", family="llama", hidden=24, heads=2, kv_heads=1, head_dim=12,
         ffn=40, vocab=64, style="classic", tied=True, biases=True, shards="16KB", rows=[[30]],
         how="padding", rope=dict(type="linear", factor=4.0)),
    dict(name="qwen2_packed", family="qwen2", hidden=24, heads=4, kv_heads=2, head_dim=6, ffn=40, vocab=71,
         window=4, first_window_layer=1, style="classic", theta=1000.0, rows=[[11, 9]], how="packed"),
    dict(name="qwen3_tied", family="qwen3", hidden=24, heads=4, kv_heads=2, head_dim=16, ffn=40, vocab=64,
         tied=True, style="current", rows=[[12, ("pad", 4)], [16]], how="padding"),
    dict(name="qwen3_yarn_bf16", family="qwen3", hidden=24, heads=3, kv_heads=1, head_dim=16, ffn=40,
         vocab=53, style="classic", theta=1000.0, bf16=True, rows=[[60]], how="padding",
         rope=dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=32)),
]


def exact_config(case):
    """What exact_model.py needs to know."""
    rope = dict(case.get("rope", {}), rope_theta=case.get("theta", 10000.0))
    if "type" in rope:
        rope["rope_type"] = rope.pop("type")
    return dict(heads=case["heads"], kv_heads=case["kv_heads"], head_dim=case["head_dim"], layers=2,
                rms_norm_eps=1e-5, window=case.get("window"), rope=rope,
                first_window_layer=case.get("first_window_layer", 0))


def classic_config(case):
    """config.json in the form that models on the hub have."""
    names = dict(mistral="MistralForCausalLM", llama="LlamaForCausalLM", qwen2="Qwen2ForCausalLM",
                 qwen3="Qwen3ForCausalLM")
    config = {
        "architectures": [names[case["family"]]],
        "model_type": case["family"],
        "bos_token_id": 1,
        "eos_token_id": 2,
        "hidden_act": "silu",
        "hidden_size": case["hidden"],
        "intermediate_size": case["ffn"],
        "max_position_embeddings": 128,
        "num_attention_heads": case["heads"],
        "num_hidden_layers": 2,
        "num_key_value_heads": case["kv_heads"],
        "rms_norm_eps": 1e-5,
        "rope_theta": case.get("theta", 10000.0),
        "tie_word_embeddings": case.get("tied", False),
        "torch_dtype": "bfloat16" if case.get("bf16") else "float32",
        "vocab_size": case["vocab"],
    }
    if case["head_dim"] * case["heads"] != case["hidden"]:
        config["head_dim"] = case["head_dim"]
    if "rope" in case:
        config["rope_scaling"] = case["rope"]
    if case["family"] == "mistral":
        config["sliding_window"] = case.get("window")
    if case["family"] in ("qwen2", "qwen3"):
        config["use_sliding_window"] = "window" in case
        config["sliding_window"] = case.get("window", 4096)
        config["max_window_layers"] = case.get("first_window_layer", 2)
    if case.get("biases"):
        config["attention_bias"] = config["mlp_bias"] = True
    return config


def make_batch(case, generator):
    """tokens, targets (-1 = none), positions, documents (-1 = padding), each [B,T]."""
    batch = dict(tokens=[], targets=[], positions=[], documents=[])
    for row in case["rows"]:
        tokens, targets, positions, documents = [], [], [], []
        for number, part in enumerate(row):
            padding, length = (True, part[1]) if isinstance(part, tuple) else (False, part)
            ids = torch.randint(0, case["vocab"], (length,), generator=generator).tolist()
            # A document's last token has no successor; about a third of the others are not trained on.
            trained = (torch.rand(length, generator=generator) > 0.3).tolist()
            tokens += [0] * length if padding else ids
            targets += [ids[t + 1] if not padding and t + 1 < length and trained[t] else -1
                        for t in range(length)]
            start = 0 if case["how"] != "padding" else len(positions)
            positions += list(range(start, start + length))
            documents += [-1 if padding else number] * length
        for key, value in zip(batch, (tokens, targets, positions, documents)):
            batch[key].append(value)
    return batch
