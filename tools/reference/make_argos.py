#!/usr/bin/env python3
"""Writes tests/golden/argos: small random packages as Argos has them, and what Argos Translate makes of sentences.

    PEERS/bin/python3 tools/reference/make_argos.py [tests/golden/argos]

Needs argostranslate 1.11.0 (pip install --no-deps: its sentence splitters are not asked), ctranslate2,
sentencepiece and sacremoses 0.1.1. The format is tests/golden/README.md.
"""
import io
import json
import os
import pathlib
import shutil
import sys
import tempfile
import types

import sentencepiece
from ctranslate2.specs import transformer_spec

from make_ctranslate2 import Random, fill

ROOT = pathlib.Path(__file__).resolve().parents[2]
SENTENCES = [
    "The cat sleeps on the chair.", "How many apples are in the basket?", "It's raining, so we stay at home today!",
    "She said: \"I will come back tomorrow.\"", "A train leaves at 10:30 and arrives at 12:45.",
    "Water boils at 100 degrees; ice melts at 0.", "Don't forget to buy bread, milk and cheese.",
    "The price is $3,000.50 (incl. VAT).", "Where is the nearest station?", "He doesn't know what to do.",
    "In 1969 people walked on the Moon for the first time.", "My brother's car is red.", "Please read the book by Mr. Smith.",
    "We walked through the old town, along the river and up the hill until we saw the sea.", "Yes.", "No!", "Hello world",
    "The quick brown fox jumps over the lazy dog.", "An e-mail from Anna arrived this morning...", "50% of the students passed.",
    "I like pasta \U0001f35d and pizza \U0001f355.", "\u65e5\u672c means Japan.", "Th\u00e9 na\u00efve caf\u00e9 \u2014 r\u00e9sum\u00e9.", "x", "A",
    "The children play in the garden while their parents prepare dinner for the guests.", "Can you explain how a bicycle works?",
    "Photosynthesis turns light into sugar.", "Write a short poem about autumn leaves.", "Seven plus five is twelve.",
]
PACKAGES = {
    "translate-en_it-1_0": dict(kind="sentencepiece", seed=6, positions=272),
    "translate-en_es-1_2": dict(kind="bpe", seed=5, quantization=None),
    "translate-es_it-1_9": dict(kind="sentencepiece", seed=4, positions=272, quantization="int8", target_prefix=">>it<<"),
}


def corpus():
    texts = list(SENTENCES)
    for path in sorted((ROOT / "examples/quickstart/english").glob("*.jsonl")):
        for line in path.read_text().splitlines():
            texts += [value for value in json.loads(line).values() if isinstance(value, str)]
    return texts + (ROOT / "tests/data/text/pinocchio.txt").read_text().splitlines()[:400]


def train_sentencepiece(symbols, rule):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus()), model_writer=model, vocab_size=320, character_coverage=0.995,
        user_defined_symbols=symbols, normalization_rule_name=rule, num_threads=1, minloglevel=2)
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    return model.getvalue(), [processor.id_to_piece(i) for i in range(3, processor.get_piece_size())]


def bpe_codes():
    text = (ROOT / "tests/golden/moses/codes-0.2.bpe").read_text()
    pieces = set()
    for line in text.splitlines()[1:]:
        for part in (*line.split(), line.replace(" ", "")):
            pieces.add(part[:-4] if part.endswith("</w>") else part + "@@")
    return text.encode(), sorted(pieces) + ["&apos;", "&quot;", ".", ",", "?", "!", "the", "The"]


def make(folder, kind, seed, target_prefix="", quantization=None, positions=None):
    source, target = folder.name.split("-")[1].split("_")
    folder.mkdir()
    if kind == "sentencepiece":
        tokenizer, pieces = train_sentencepiece([target_prefix] if target_prefix else [],
                                                "identity" if target_prefix else "nmt_nfkc")
        (folder / "sentencepiece.model").write_bytes(tokenizer)
    else:
        tokenizer, pieces = bpe_codes()
        (folder / "bpe.model").write_bytes(tokenizer)
    tokens = ["<unk>", "<s>", "</s>"] + list(dict.fromkeys(pieces))
    case = dict(source=tokens, shared=True, width=32, heads=4, inner=48)
    if positions:
        case["positions"] = positions
    spec = transformer_spec.TransformerSpec.from_config((2, 2), 4)
    fill(spec, case, Random(seed))
    # Not the embeddings, or each token would call for itself again.
    spec.decoder.projection.weight = Random(100 + seed).matrix(len(tokens), 32, 0.35)
    spec.decoder.projection.bias[2] += 2.0  # translations end
    spec.register_source_vocabulary(tokens)
    spec.register_target_vocabulary(list(tokens))
    spec.validate()
    spec.optimize(quantization=quantization)
    (folder / "model").mkdir()
    spec.save(str(folder / "model"))
    metadata = dict(package_version=folder.name.split("-")[2].replace("_", "."), argos_version="1.9", from_code=source,
                    from_name=source, to_code=target, to_name=target)
    if target_prefix:
        metadata["target_prefix"] = target_prefix
    (folder / "metadata.json").write_text(json.dumps(metadata, indent=4) + "\n")


def argos():
    """Argos Translate without its sentence splitters: a text is one sentence."""
    home = tempfile.mkdtemp()
    os.environ.update(HOME=home, XDG_DATA_HOME=home, XDG_CONFIG_HOME=home, XDG_CACHE_HOME=home, ARGOS_INTRA_THREADS="1")
    for name in ("stanza", "minisbd", "spacy"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["minisbd"].SBDetect = None
    sys.modules["minisbd"].models = types.SimpleNamespace(list_models=lambda: ["en"])
    from argostranslate import package, settings, translate

    class Whole:
        def __init__(self, pkg):
            pass

        def split_sentences(self, text):
            return [text]
    translate.MiniSBDSentencizer = Whole
    return package, settings, translate


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "tests/golden/argos")
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    package, settings, translate = argos()
    expected = {}
    for name, how in PACKAGES.items():
        make(root / name, **how)
        source, target = name.split("-")[1].split("_")
        runs = {}
        for compute in ("float32", "int8_float32"):
            for beam in (1, 4):
                settings.compute_type, settings.beam_size = compute, beam
                engine = translate.PackageTranslation(translate.Language(source, source), translate.Language(target, target),
                                                      package.Package(root / name))
                values = [engine.hypotheses(text, 1)[0].value for text in SENTENCES]
                tokens = [engine.pkg.tokenizer.encode(text) for text in SENTENCES]
                prefix = [[how["target_prefix"]]] * len(tokens) if "target_prefix" in how else None
                lengths = [len(result.hypotheses[0]) for result in engine.translator.translate_batch(
                    tokens, prefix, beam_size=beam, length_penalty=0.2, replace_unknowns=True, max_batch_size=1)]
                # Cut short at 256 tokens: Argos does not tell, so this file does.
                runs[f"{compute.split('_')[0]} {beam}"] = [None if length >= 256 else value for value, length in zip(values, lengths)]
        expected[name] = runs
    lines = json.dumps(dict(sentences=SENTENCES, runs=expected), ensure_ascii=False, indent=0)
    (root / "expected.json").write_text(lines + "\n")


if __name__ == "__main__":
    main()
