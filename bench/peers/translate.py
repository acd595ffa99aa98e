"""CTranslate2 for bench/translate: makes a random model of Argos's shape, and translates with it.

    python3 translate.py make FOLDER
    python3 translate.py run FOLDER --beam 1 --batch 32 --compute int8 --threads 1 <tokens >translated

`run` prints a line of JSON with its CPU seconds to standard error.
"""
import os
import sys

import ctranslate2

import peer


def make(folder, layers=6, width=512, inner=2048, heads=8, vocabulary=50000, tokens=None, end=None):
    """Shapes as in Argos packages of today: joint vocabulary, shared embeddings, stored positions, int8.

    With `end`, translations end after about so many tokens.
    """
    import numpy as np
    from ctranslate2.specs import transformer_spec
    generator = np.random.default_rng(1)

    def matrix(rows, columns, scale):
        return (generator.standard_normal((rows, columns)) * scale).astype(np.float32)

    def linear(layer, outputs, inputs):
        layer.weight = matrix(outputs, inputs, inputs ** -0.5)
        layer.bias = (0.05 * generator.standard_normal(outputs)).astype(np.float32)

    def norm(layer):
        layer.gamma = (1 + 0.1 * generator.standard_normal(width)).astype(np.float32)
        layer.beta = (0.1 * generator.standard_normal(width)).astype(np.float32)

    spec = transformer_spec.TransformerSpec.from_config((layers, layers), heads)
    shared = matrix(vocabulary, width, width ** -0.5)
    spec.encoder.embeddings[0].weight = shared
    spec.decoder.embeddings.weight = shared
    spec.decoder.projection.weight = shared
    spec.decoder.projection.bias = np.zeros(vocabulary, np.float32)
    for stack in (spec.encoder, spec.decoder):
        stack.position_encodings.encodings = matrix(1024, width, 0.5)
        norm(stack.layer_norm)
        for layer in stack.layer:
            norm(layer.self_attention.layer_norm)
            linear(layer.self_attention.linear[0], 3 * width, width)
            linear(layer.self_attention.linear[1], width, width)
            if stack is spec.decoder:
                norm(layer.attention.layer_norm)
                linear(layer.attention.linear[0], width, width)
                linear(layer.attention.linear[1], 2 * width, width)
                linear(layer.attention.linear[2], width, width)
            norm(layer.ffn.layer_norm)
            linear(layer.ffn.linear_0, inner, width)
            linear(layer.ffn.linear_1, width, inner)
    if end:  # from this place on nothing but the end token is likely
        spec.decoder.position_encodings.encodings[end:] += 200 * shared[2] / np.linalg.norm(shared[2])
    tokens = tokens or ["<unk>", "<s>", "</s>"] + [f"w{i}" for i in range(vocabulary - 3)]
    spec.register_source_vocabulary(tokens)
    spec.register_target_vocabulary(tokens)
    spec.validate()
    spec.optimize(quantization="int8")
    os.makedirs(folder, exist_ok=True)
    spec.save(folder)


def run(options):
    translator = ctranslate2.Translator(options.folder, compute_type=options.compute,
                                        inter_threads=1, intra_threads=options.threads)
    lines = [line.split() for line in sys.stdin]
    translator.translate_batch(lines[:2], beam_size=1, max_decoding_length=2)
    peer.measured(lambda: [" ".join(result.hypotheses[0]) for result in translator.translate_batch(
        lines, beam_size=options.beam, max_batch_size=options.batch, max_decoding_length=options.length,
        length_penalty=options.length_penalty, return_scores=False)], ctranslate2.__version__)


if __name__ == "__main__":
    peer.main(make, run, beam=1, batch=32, length=32, length_penalty=0.2, compute="int8")
