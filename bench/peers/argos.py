"""Argos Translate for bench/translate --argos: makes a random package of its shape, and translates with it.

    python3 argos.py make FOLDER
    python3 argos.py run FOLDER --threads 1 <documents >translated

Needs argostranslate (pip install --no-deps), ctranslate2, sentencepiece, protobuf, sacremoses and packaging. A line of
input is a document; its sentences end with " ." (no splitter is loaded, which costs Argos more than this). `run`
prints a line of JSON with its CPU seconds to standard error.
"""
import json
import os
import pathlib
import sys
import tempfile
import types

import peer
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
    peer.measured(lambda: [engine.translate(document) for document in documents], ctranslate2.__version__)


if __name__ == "__main__":
    peer.main(make, run)
