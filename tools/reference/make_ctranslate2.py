"""Writes tests/golden/ctranslate2: small random translation models, and what CTranslate2 makes of them.

    PEERS/bin/python3 tools/reference/make_ctranslate2.py [tests/golden/ctranslate2]

The environment is requirements.txt beside this file; the format is tests/golden/README.md.
"""
import json
import pathlib
import shutil
import sys

import ctranslate2
import numpy as np
from ctranslate2.specs import common_spec, transformer_spec

ACTIVATIONS = common_spec.Activation
END_BIAS = 2.0  # added to the end token's logit, so that translations end
LONGEST = 24    # tokens of a translation, unless a run says otherwise
SOURCE = ["<unk>", "<s>", "</s>"] + [f"s{i}" for i in range(40)]
TARGET = ["<unk>", "<s>", "</s>"] + [f"t{i}" for i in range(45)]

CASES = {
    "sinusoids_relu": dict(),
    "positions_gelu_post_norm": dict(pre_norm=False, activation=ACTIVATIONS.GELU, positions=60,
                                     layernorm_embedding=True),
    "rms_swish_gated": dict(rms_norm=True, activation=ACTIVATIONS.SWISH, ffn_glu=True, alignment_heads=0),
    "relative_gelu_tanh": dict(with_relative_position=True, activation=ACTIVATIONS.GELUTanh),
    "shared_int8": dict(quantization="int8", shared=True, positions=64, width=64, heads=4, inner=96),
    "int8_odd_sizes": dict(quantization="int8", width=36, heads=3, inner=50),
    "int16": dict(quantization="int16"),
    "float16": dict(quantization="float16", scale_embeddings=False, activation=ACTIVATIONS.GELUSigmoid),
    "special_tokens": dict(quantization="float16", add_source_bos=True, add_source_eos=True,
                     decoder_start_token="</s>"),
}

RUNS = {
    "greedy": dict(beam_size=1),
    "beam": dict(beam_size=4, num_hypotheses=4),
    "beam_argos": dict(beam_size=4, length_penalty=0.2, replace_unknowns=True),
    "no_penalty": dict(beam_size=3, num_hypotheses=2, length_penalty=0.0),
    "coverage": dict(beam_size=4, num_hypotheses=3, coverage_penalty=0.4),
    "repetition": dict(beam_size=3, repetition_penalty=1.4),
    "repetition_greedy": dict(beam_size=1, repetition_penalty=1.3, no_repeat_ngram_size=2),
    "ngrams": dict(beam_size=4, no_repeat_ngram_size=2, disable_unk=True),
    "lengths": dict(beam_size=2, min_decoding_length=6, max_decoding_length=9),
    "patience": dict(beam_size=3, num_hypotheses=5, patience=2.0),
    "prefix": dict(beam_size=4, num_hypotheses=2, prefix=True),
    "prefix_greedy": dict(beam_size=1, prefix=True),
}


class Random:
    def __init__(self, seed):
        self.generator = np.random.default_rng(seed)

    def matrix(self, rows, columns, scale):
        return (self.generator.standard_normal((rows, columns)) * scale).astype(np.float32)

    def vector(self, size, mean=0.0, deviation=0.1):
        return (mean + deviation * self.generator.standard_normal(size)).astype(np.float32)


def fill(spec, case, random):
    """Gives every weight that the spec asks for a random value."""
    width, inner = case["width"], case["inner"]

    def linear(layer, outputs, inputs, gain=1.0):
        layer.weight = random.matrix(outputs, inputs, gain * inputs ** -0.5)
        layer.bias = random.vector(outputs)

    def norm(layer):
        layer.gamma = random.vector(width, 1.0)
        if not case.get("rms_norm"):
            layer.beta = random.vector(width)

    def attention(layer, cross):
        norm(layer.layer_norm)
        sizes = [width, 2 * width, width] if cross else [3 * width, width]
        for part, outputs in zip(layer.linear, sizes):
            linear(part, outputs, width, 1.5)
        if not cross and case.get("with_relative_position"):
            head = width // case["heads"]
            layer.relative_position_keys = random.matrix(9, head, 1.0)
            layer.relative_position_values = random.matrix(9, head, 1.0)

    def feed_forward(layer):
        norm(layer.layer_norm)
        linear(layer.linear_0, inner, width, 1.5)
        if case.get("ffn_glu"):
            linear(layer.linear_0_noact, inner, width, 1.5)
        linear(layer.linear_1, width, inner, 1.5)

    source = random.matrix(len(case["source"]), width, width ** -0.5)
    target = source if case.get("shared") else random.matrix(len(TARGET), width, width ** -0.5)
    spec.encoder.embeddings[0].weight = source
    spec.decoder.embeddings.weight = target
    for stack in (spec.encoder, spec.decoder):
        stack.scale_embeddings = case.get("scale_embeddings", True)
        if case.get("positions"):
            stack.position_encodings.encodings = random.matrix(case["positions"], width, 0.7)
        if case.get("layernorm_embedding"):
            norm(stack.layernorm_embedding)
        if case.get("pre_norm", True):
            norm(stack.layer_norm)
        for layer in stack.layer:
            attention(layer.self_attention, False)
            if stack is spec.decoder:
                attention(layer.attention, True)
            feed_forward(layer.ffn)
    if case.get("shared"):
        spec.decoder.projection.weight = target
        spec.decoder.projection.bias = random.vector(len(target))
    else:
        linear(spec.decoder.projection, len(TARGET), width, 2.0)
    spec.decoder.projection.bias[2] += END_BIAS


def write_model(name, case, folder, seed):
    case.setdefault("width", 20)
    case.setdefault("heads", 4)
    case.setdefault("inner", 36)
    case["source"] = SOURCE[:3] + [f"w{i}" for i in range(45)] if case.get("shared") else SOURCE
    structure = {key: case[key] for key in ("pre_norm", "activation", "layernorm_embedding", "rms_norm",
                                            "ffn_glu", "with_relative_position", "alignment_heads")
                 if key in case}
    spec = transformer_spec.TransformerSpec.from_config((2, 2), case["heads"], **structure)
    fill(spec, case, Random(seed))
    for key in ("add_source_bos", "add_source_eos", "decoder_start_token"):
        if key in case:
            setattr(spec.config, key, case[key])
    spec.register_source_vocabulary(list(case["source"]))
    spec.register_target_vocabulary(list(case["source"]) if case.get("shared") else list(TARGET))
    spec.validate()
    spec.optimize(quantization=case.get("quantization"))
    folder.mkdir()
    spec.save(str(folder))


def sentences(case, seed, count):
    generator = np.random.default_rng(1000 + seed)
    words = case["source"][3:] + ["never-seen"]
    result = [[words[i] for i in generator.integers(len(words), size=length)]
              for length in generator.integers(1, 16, size=count)]
    return result + [[], ["</s>"]]


def expected(folder, case, seed, compute):
    translator = ctranslate2.Translator(str(folder), compute_type=compute, inter_threads=1, intra_threads=1)
    runs = {}
    for name, options in RUNS.items():
        options = {"max_decoding_length": LONGEST, **options}
        sources = sentences(case, seed, 10)
        target = (case["source"] if case.get("shared") else TARGET)
        prefixes = None
        if options.pop("prefix", False):
            prefixes = [[target[4 + i % 30], target[9]][: 1 + i % 2] for i in range(len(sources))]
        results = []
        # One at a time: what CTranslate2 makes of a sentence depends on those beside it.
        for i, source in enumerate(sources):
            result = translator.translate_batch([source], [prefixes[i]] if prefixes else None,
                                                return_scores=True, return_attention=True, **options)[0]
            results.append([dict(tokens=tokens, score=score)
                            for tokens, score in zip(result.hypotheses, result.scores)])
        runs[name] = dict(options=options, sources=sources, prefixes=prefixes, results=results)
    return runs


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "tests/golden/ctranslate2")
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    for seed, (name, case) in enumerate(CASES.items()):
        folder = root / name
        write_model(name, case, folder, seed)
        computes = {"float32": expected(folder, case, seed, "float32"),
                    "int8": expected(folder, case, seed, "int8_float32")}
        lines = json.dumps({"ctranslate2": ctranslate2.__version__, "runs": computes}, ensure_ascii=False)
        (folder / "expected.json").write_text(lines.replace('{"options"', '\n{"options"') + "\n")


if __name__ == "__main__":
    main()
