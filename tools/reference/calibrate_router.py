#!/usr/bin/env python3
"""Finds the weights of [translate.route] on real data.

    calibrate_router.py NATIVO DATA PACKAGE FOLDER

Translates a sample of the sets below DATA (data/MANIFEST.tsv) with Apertium, by the program NATIVO, in FOLDER.
PACKAGE is any Argos package for the same languages: it is the ladder's second step, for a router needs two. What it
says counts for nothing.

The target is a row that the bulk engine damages: a protected span was lost, a check of the translation failed, or it
did not know more than UNKNOWN of the words. The score of the router is a sum of weight * min(1, value / full) over the
features; `full` is the 90th percentile of a feature where it is not zero, and the weights come from a logistic
regression without negative weights, scaled so that SHARE of the rows reach the threshold 1. Fitted on the rows with an
even digest; what is printed at the end is measured on the odd ones. docs/translation-quality.md quotes it. Needs numpy.
"""
import gzip
import hashlib
import json
import pathlib
import subprocess
import sys

import numpy as np

FEATURES = ["length", "rarity", "code", "markup", "maths", "names"]
BY_HAND = {"length": (600, 0.4), "rarity": (0.3, 0.5), "code": (0.5, 0.5), "markup": (20, 0.5), "maths": (0.1, 0.8),
           "names": (0.3, 0.3)}
ROWS = 800     # of each set
UNKNOWN = 0.1  # share of words
SHARE = 0.2    # of the rows are to be complex


def lines_of(path):
    opened = gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else open(path, encoding="utf-8")
    with opened as lines:
        return [line.rstrip("\n") for line in lines if line.strip()]


def texts_of(data):
    def table(path):
        return [line.split("\t")[0] for line in lines_of(data / path)]

    def fields(path, *names):
        rows = map(json.loads, lines_of(data / path))
        return ["\n\n".join(row[name] for name in names if row.get(name)) for row in rows]

    teacher = json.load(gzip.open(data / "instr_en_gpteacher/codegen-instruct.json.gz"))
    return {
        "flores": lines_of(data / "parallel_flores/flores-dev.en"),
        "pud": table("parallel_pud/pud.en-it.tsv"),
        "tatoeba": table("parallel_tatoeba/eng-ita.train.tsv.gz"),
        "topical": lines_of(data / "parallel_cocoa/topical_chat.train.en"),
        "telephony": lines_of(data / "parallel_cocoa/telephony.train.en"),
        "mozilla": table("parallel_mozilla_www/mozorg.en-it.train.tsv.gz"),
        "tldr": table("parallel_tldr/tldr.en-it.train.tsv.gz"),
        "godot": table("parallel_godot/godot.en-it.tsv.gz"),
        "gsm8k": fields("instr_en_gsm8k/train.jsonl.gz", "question", "answer"),
        "dolly": fields("instr_en_dolly_part/dolly_a.jsonl.gz", "instruction", "context", "response"),
        "gpteacher": ["\n\n".join(row[k] for k in ("instruction", "input", "response") if row[k]) for row in teacher],
    }


def translate(nativo, data, package, folder):
    config = ['[run]', 'dir = "run"', '[translate]', 'ladder = ["apertium", "argos:greedy"]', 'dedup_sources = false',
              '[translate.argos]', f'package = "{package}"', '[translate.route]', 'complex = "argos:greedy"',
              'threshold = 1e9']
    for name in FEATURES:  # so that what a feature adds to the score is its value
        config += [f'[translate.route.{name}]', 'full = 1e6', 'weight = 1e6']
    for name, texts in texts_of(data).items():
        rows = texts[::max(1, len(texts) // ROWS)][:ROWS]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in rows))
        config += [f'[source.{name}]', f'path = "{name}.jsonl"', 'lang = "en"', 'licence = "mixed"']
    (folder / "nativo.toml").write_text("\n".join(config) + "\n")
    subprocess.run([nativo, "translate", "-c", "nativo.toml"], cwd=folder, check=True)
    rows = []
    for kind in ("records", "rejects"):
        for path in sorted((folder / "run/stages/translate").glob(f"{kind}-*.zst")):
            text = subprocess.run(["zstdcat", path], check=True, capture_output=True).stdout
            rows += map(json.loads, text.decode().split("\n")[:-1])
    return rows


def table_of(rows):
    values, target, source, even = [], [], [], []
    for row in rows:
        entry = row["lineage"][-1]
        why = entry["route"]["why"]
        failed = bool(entry.get("failures")) or "reject" in row
        values.append([why.get(name, 0.0) for name in FEATURES])
        target.append(failed or entry["unknown_words"] > UNKNOWN)
        source.append(row["source"])
        even.append(hashlib.sha256(entry.get("source_id", row["id"]).encode()).digest()[0] % 2 == 0)
    return np.array(values), np.array(target), np.array(source), np.array(even)


def fit(x, y, steps=20000, rate=0.3, ridge=1e-3):
    """Logistic regression by projected gradient descent: weights >= 0, an intercept of any sign."""
    weights, bias = np.zeros(x.shape[1]), 0.0
    for _ in range(steps):
        error = 1 / (1 + np.exp(-(x @ weights + bias))) - y
        weights = np.maximum(0.0, weights - rate * (x.T @ error / len(y) + ridge * weights))
        bias -= rate * error.mean()
    return weights, bias


def auc(score, y):
    order = np.argsort(score, kind="stable")
    ranks = np.empty(len(score))
    ranks[order] = np.arange(1, len(score) + 1)
    for value in np.unique(score):  # equal scores share their rank
        same = score == value
        ranks[same] = ranks[same].mean()
    positives = y.sum()
    return (ranks[y].sum() - positives * (positives + 1) / 2) / (positives * (len(y) - positives))


def report(name, score, y):
    hard = score >= 1
    damaged = [f"{y[rows].mean():6.1%}" if rows.any() else "     -" for rows in (hard, ~hard)]
    area = f"{auc(score, y):.3f}" if 0 < y.sum() < len(y) else "    -"
    print(f"{name:<18} AUC {area}  complex {hard.mean():6.1%}  damaged of these {damaged[0]}, of the others {damaged[1]}")


def main():
    nativo, data, package, folder = sys.argv[1:]
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rows = translate(pathlib.Path(nativo).resolve(), pathlib.Path(data), pathlib.Path(package).resolve(), folder)
    values, y, source, even = table_of(rows)
    print(f"{len(y)} rows, {y.mean():.1%} damaged")
    full = np.array([np.percentile(column[column > 0], 90) if (column > 0).any() else 1.0 for column in values.T])
    for f, name in enumerate(FEATURES):
        print(f"  {name:<8} not zero in {np.mean(values[:, f] > 0):6.1%}, 90th percentile {full[f]:.4g}, "
              f"alone AUC {auc(values[:, f], y):.3f}")
    x = np.minimum(1.0, values / full)
    weights, bias = fit(x[even], y[even])
    print(f"regression: {dict(zip(FEATURES, weights.round(3).tolist()))}, intercept {bias:.3f}")
    weights /= np.percentile(x[even] @ weights, 100 * (1 - SHARE))
    for f, name in enumerate(FEATURES):
        print(f"[translate.route.{name}] full = {full[f]:.3g} weight = {weights[f]:.2f}")
    hand = sum(weight * np.minimum(1.0, values[:, f] / limit)
               for f, (limit, weight) in enumerate(BY_HAND[name] for name in FEATURES))
    fitted = x @ weights
    report("before, odd rows", hand[~even], y[~even])
    report("fitted, odd rows", fitted[~even], y[~even])
    for name in np.unique(source):
        mine = ~even & (source == name)
        report("  " + name, fitted[mine], y[mine])


if __name__ == "__main__":
    main()
