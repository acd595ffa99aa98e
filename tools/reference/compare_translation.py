#!/usr/bin/env python3
"""Is nativo's translation engine CTranslate2's, token for token? On random models of Argos's shape, where all choices
are close, and on any other model.

    PEERS/bin/python3 tools/reference/compare_translation.py [--nativo build/release/nativo] [--sentences 200]
        [--beam 1,4] [--compute f32,int8] [--model FOLDER --text FILE]

In f32 no sentence may differ. In int8 an activation at the edge between two codes falls on either side with the last
bit of a sum, so CTranslate2's own kernels for other instruction sets (CT2_FORCE_CPU_ISA) give other translations,
too. Ours count as rounding when no more of them differ than of the least like of CTranslate2's own, when scores of
equal translations lie no further apart than its own do (both with a margin for chance), and when ours are
the better ones in CTranslate2's scores about as often. Exit status 1 otherwise.
"""
import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
LENGTH = 32
ISAS = ["GENERIC", "AVX", "AVX2", "AVX512"]
WORKER = """
import json, sys, ctranslate2
folder, compute, beam, length = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:5])
translator = ctranslate2.Translator(folder, compute_type=compute, inter_threads=1, intra_threads=1)
results = translator.translate_batch(json.load(sys.stdin), beam_size=beam, max_batch_size=32, max_decoding_length=length,
                                     length_penalty=0.2, return_scores=True)
json.dump({"tokens": [r.hypotheses[0] for r in results], "scores": [r.scores[0] for r in results]}, sys.stdout)
"""


def peer(folder, compute, beam, sources, isa=None):
    environment = dict(os.environ, OMP_NUM_THREADS="1")
    if isa:
        environment["CT2_FORCE_CPU_ISA"] = isa
    kind = {"f32": "float32", "int8": "int8"}[compute]
    result = subprocess.run([sys.executable, "-c", WORKER, folder, kind, str(beam), str(LENGTH)],
                            input=json.dumps(sources), capture_output=True, text=True, env=environment)
    if result.returncode:
        sys.exit(result.stderr)
    return json.loads(result.stdout)


def ours(options, folder, compute, beam, sources):
    command = [options.nativo, "translate", "--engine", folder, "--pretokenized", "--compute", compute, "--beam-size", str(beam),
               "--max-length", str(LENGTH), "--length-penalty", "0.2", "--scores"]
    text = "".join(" ".join(line) + "\n" for line in sources)
    output = subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout.splitlines()
    rows = [line.rsplit(" ||| ", 1) for line in output]
    return [row[0].split() for row in rows], [float(row[1]) for row in rows]


def difference(name, tokens, scores, base):
    """Prints how a set of translations differs from CTranslate2's; returns how many do, and how far the scores of the
    same lie apart."""
    pairs = list(zip(tokens, base["tokens"], scores, base["scores"]))
    changed = sum(a != b for a, b, _, _ in pairs)
    gap = max((abs(x - y) for a, b, x, y in pairs if a == b), default=0.0)
    better = sum(x > y for a, b, x, y in pairs if a != b)
    print(f"  {name}: {changed} of {len(pairs)} differ, {better} of them for the better; scores of the same by up to {gap:.1e}", flush=True)
    return changed, gap


def compare(options, folder, compute, beam, sources):
    print(f"{compute} beam {beam}, against CTranslate2", flush=True)
    base = peer(folder, compute, beam, sources)
    changed, gap = difference("nativo", *ours(options, folder, compute, beam, sources), base)
    if changed == 0:
        return True
    own = [difference("CTranslate2 for " + isa, *peer(folder, compute, beam, sources, isa).values(), base) for isa in ISAS]
    most, widest = (max(values) for values in zip(*own))
    return compute == "int8" and changed <= 2 * most + len(sources) // 100 and gap <= 2 * widest


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nativo", default=str(ROOT / "build/release/nativo"))
    parser.add_argument("--sentences", type=int, default=200)
    parser.add_argument("--beam", default="1,4")
    parser.add_argument("--compute", default="f32,int8")
    parser.add_argument("--model", help="a CTranslate2 folder; a random one of Argos's shape without")
    parser.add_argument("--text", help="its sources, a sentence a line, tokens between spaces")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.model
        if folder:
            sources = [line.split() for line in open(options.text, encoding="utf-8")][:options.sentences]
        else:
            folder = scratch + "/model"
            subprocess.run([sys.executable, str(ROOT / "bench/peers/translate.py"), "make", folder], check=True)
            generator = random.Random(2)
            sources = [[f"w{generator.randrange(49997)}" for _ in range(generator.randint(3, 30))] for _ in range(options.sentences)]
        good = True
        for compute in options.compute.split(","):
            for beam in map(int, options.beam.split(",")):
                good &= compare(options, folder, compute, beam, sources)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
