#!/usr/bin/env python3
"""Finds the weights of [translate.route] on real data.

    calibrate_router.py NATIVO DATA PACKAGE FOLDER

Translates a sample of the sets of human translations below DATA (data/MANIFEST.tsv) with Apertium, by the program
NATIVO, in FOLDER. PACKAGE is any Argos package for the same languages: it is the ladder's second step, for a router
needs two. What it says counts for nothing.

The target is a row that the bulk engine translates badly: its chrF2 (sacreBLEU) with the human translation is among
the lowest quarter, or it failed a check (chrF2 0). The score of the router is a sum of weight * min(1, value / full)
over the features; `full` is the 90th percentile of a feature where it is not zero, and the weights come from a
logistic regression without negative weights, scaled so that SHARE of the rows reach the threshold 1. Fitted on the
rows with an even digest; what is printed at the end is measured on the odd ones. docs/translation-quality.md quotes
it. Needs sacrebleu.
"""
import gzip
import hashlib
import json
import pathlib
import subprocess
import sys

import numpy as np
import sacrebleu

FEATURES = ["length", "rarity", "code", "markup", "maths", "names"]
BY_HAND = {"length": (600, 0.4), "rarity": (0.3, 0.5), "code": (0.5, 0.5), "markup": (20, 0.5), "maths": (0.1, 0.8),
           "names": (0.3, 0.3)}
ROWS = 800    # of each set
SHARE = 0.2   # of the rows are to be complex


def lines_of(path):
    opened = gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else open(path, encoding="utf-8")
    with opened as lines:
        return [line.rstrip("\n") for line in lines if line.strip()]


def pairs_of(data):
    """Name -> (source, human translation) rows."""
    def table(path):
        return [line.split("\t")[:2] for line in lines_of(data / path)]

    def lines(a, b):
        return list(zip(lines_of(data / a), lines_of(data / b)))

    return {
        "flores": lines("parallel_flores/flores-dev.en", "parallel_flores/flores-dev.it"),
        "pud": table("parallel_pud/pud.en-it.tsv"),
        "tatoeba": table("parallel_tatoeba/eng-ita.train.tsv.gz"),
        "topical": lines("parallel_cocoa/topical_chat.train.en", "parallel_cocoa/topical_chat.train.formal.it"),
        "telephony": lines("parallel_cocoa/telephony.train.en", "parallel_cocoa/telephony.train.informal.it"),
        "mozilla": table("parallel_mozilla_www/mozorg.en-it.train.tsv.gz"),
        "tldr": table("parallel_tldr/tldr.en-it.train.tsv.gz"),
        "godot": table("parallel_godot/godot.en-it.tsv.gz"),
    }


def translate(nativo, data, package, folder):
    config = ['[run]', 'dir = "run"', '[translate]', 'ladder = ["apertium", "argos:greedy"]', 'dedup_sources = false',
              '[translate.argos]', f'package = "{package}"', '[translate.route]', 'complex = "argos:greedy"',
              'threshold = 1e9']
    for name in FEATURES:  # so that what a feature adds to the score is its value
        config += [f'[translate.route.{name}]', 'full = 1e6', 'weight = 1e6']
    references = {}
    for name, pairs in pairs_of(data).items():
        rows = pairs[::max(1, len(pairs) // ROWS)][:ROWS]
        references[name] = [human for _, human in rows]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text, _ in rows))
        config += [f'[source.{name}]', f'path = "{name}.jsonl"', 'lang = "en"', 'licence = "mixed"']
    (folder / "nativo.toml").write_text("\n".join(config) + "\n")
    subprocess.run([nativo, "translate", "-c", "nativo.toml"], cwd=folder, check=True)
    rows = []
    for kind in ("records", "rejects"):
        for path in sorted((folder / "run/stages/translate").glob(f"{kind}-*.zst")):
            text = subprocess.run(["zstdcat", path], check=True, capture_output=True).stdout
            rows += map(json.loads, text.decode().split("\n")[:-1])
    return rows, references


def table_of(rows, references):
    values, score, source, even = [], [], [], []
    for row in rows:
        entry = row["lineage"][-1]
        why = entry["route"]["why"]
        bulk = not entry.get("failures") and "reject" not in row
        human = references[row["source"]][row["lineage"][0]["row"] - 1]
        values.append([why.get(name, 0.0) for name in FEATURES])
        score.append(sacrebleu.sentence_chrf(row["text"], [human]).score if bulk else 0.0)
        source.append(row["source"])
        even.append(hashlib.sha256(entry.get("source_id", row["id"]).encode()).digest()[0] % 2 == 0)
    return np.array(values), np.array(score), np.array(source), np.array(even)


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


def report(name, score, y, chrf):
    hard = score >= 1
    mean = [f"{chrf[rows].mean():5.1f}" if rows.any() else "    -" for rows in (hard, ~hard)]
    area = f"{auc(score, y):.3f}" if 0 < y.sum() < len(y) else "    -"
    print(f"{name:<20} AUC {area}  complex {hard.mean():6.1%}  their chrF2 {mean[0]}, of the others {mean[1]}")


def main():
    nativo, data, package, folder = sys.argv[1:]
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rows, references = translate(pathlib.Path(nativo).resolve(), pathlib.Path(data), pathlib.Path(package).resolve(),
                                 folder)
    values, chrf, source, even = table_of(rows, references)
    y = chrf <= np.percentile(chrf, 25)
    print(f"{len(y)} rows, {np.mean(chrf == 0):.1%} failed, lowest quarter below chrF2 {np.percentile(chrf, 25):.1f}")
    full = np.array([np.percentile(column[column > 0], 90) if (column > 0).any() else 1.0 for column in values.T])
    for f, name in enumerate(FEATURES):
        print(f"  {name:<8} not zero in {np.mean(values[:, f] > 0):6.1%}, 90th percentile {full[f]:.4g}, "
              f"alone AUC {auc(values[:, f], y):.3f}")
    x = np.minimum(1.0, values / full)
    weights, bias = fit(x[even], y[even])
    print(f"regression: {dict(zip(FEATURES, weights.round(3)))}, intercept {bias:.3f}")
    weights /= np.percentile(x[even] @ weights, 100 * (1 - SHARE))
    for f, name in enumerate(FEATURES):
        print(f"[translate.route.{name}] full = {full[f]:.3g} weight = {weights[f]:.2f}")
    hand = sum(weight * np.minimum(1.0, values[:, f] / limit)
               for f, (limit, weight) in enumerate(BY_HAND[name] for name in FEATURES))
    fitted = x @ weights
    report("before, odd rows", hand[~even], y[~even], chrf[~even])
    report("fitted, odd rows", fitted[~even], y[~even], chrf[~even])
    for name in np.unique(source):
        mine = ~even & (source == name)
        report("  " + name, fitted[mine], y[mine], chrf[mine])


if __name__ == "__main__":
    main()
