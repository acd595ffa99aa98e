"""Argos Translate for bench/translate --argos: makes a random package of its shape, and translates with it.

    python3 argos.py make FOLDER
    python3 argos.py run FOLDER --threads 1 <documents >translated

Needs argostranslate (pip install --no-deps), ctranslate2, sentencepiece, protobuf, sacremoses and packaging. A line of
input is a document; its sentences end with " ." (no splitter is loaded, which costs Argos more than this). `run`
prints a line of JSON with its CPU seconds to standard error.
"""
import argparse
import json
import os
import pathlib
import resource
import sys
import tempfile
import types

import translate
from words import word

END = 30  # tokens of a translation


def make(folder):
    from sentencepiece import sentencepiece_model_pb2
    folder = pathlib.Path(folder)
    tokens = ["<unk>", "<s>", "</s>"] + ["\u2581."]
    tokens += [f"\u2581{word(i)}" for i in range(50000 - len(tokens))]
    translate.make(str(folder / "model"), tokens=tokens, end=END)
    model = sentencepiece_model_pb2.ModelProto()
    for i, token in enumerate(tokens):
        model.pieces.add(piece=token, score=-1.0 - i * 1e-4, type=2 if i == 0 else 3 if i < 3 else 1)
    model.trainer_spec.model_type = 1
    model.normalizer_spec.name = "identity"
    (folder / "sentencepiece.model").write_bytes(model.SerializeToString())
    (folder / "metadata.json").write_text(json.dumps(dict(package_version="1.0", argos_version="1.9", from_code="en",
                                                          from_name="English", to_code="it", to_name="Italian")))


def run(options):
    home = tempfile.mkdtemp()
    os.environ.update(HOME=home, XDG_DATA_HOME=home, XDG_CONFIG_HOME=home, XDG_CACHE_HOME=home,
                      ARGOS_INTRA_THREADS=str(options.threads))
    for name in ("stanza", "minisbd", "spacy"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["minisbd"].SBDetect = None
    sys.modules["minisbd"].models = types.SimpleNamespace(list_models=lambda: ["en"])
    import ctranslate2
    from argostranslate import package, translate as argos

    class Splitter:
        def __init__(self, pkg):
            pass

        def split_sentences(self, text):
            return [part.strip() + " ." for part in text.split(" .") if part.strip()]
    argos.MiniSBDSentencizer = Splitter
    engine = argos.PackageTranslation(argos.Language("en", "English"), argos.Language("it", "Italian"),
                                      package.Package(pathlib.Path(options.folder)))
    documents = [line.rstrip("\n") for line in sys.stdin]
    engine.translate(word(1) + " .")
    before = os.times()
    results = [engine.translate(document) for document in documents]
    after = os.times()
    print("\n".join(results))
    print(json.dumps({"cpu_s": after.user + after.system - before.user - before.system,
                      "wall_s": after.elapsed - before.elapsed,
                      "memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                      "version": ctranslate2.__version__}), file=sys.stderr)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("action", choices=["make", "run"])
    parser.add_argument("folder")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    make(options.folder) if options.action == "make" else run(options)


if __name__ == "__main__":
    main()
