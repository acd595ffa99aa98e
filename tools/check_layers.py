#!/usr/bin/env python3
"""Holds src/ to src/layers.txt: every #include between folders must be allowed, and no cycles.

Usage: tools/check_layers.py [SRC]. Exits with 1 and a line per violation.
"""
import pathlib
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')


def read_layers(path):
    layers = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        parts = [part.strip() for part in line.split("|")]
        if len(parts) != 3:
            sys.exit(f"{path}:{number}: want `folder | sentence | allowed folders`")
        layers[parts[0]] = parts[2].split()
        for lower in layers[parts[0]]:
            if lower not in layers:
                sys.exit(f"{path}:{number}: {parts[0]} may not include {lower}: not listed above it")
    return layers


def main():
    src = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent / "src")
    layers = read_layers(src / "layers.txt")
    wrong = 0
    for file in sorted(src.rglob("*")):
        if file.suffix not in {".h", ".cc", ".cu", ".cuh"}:
            continue
        folder = file.relative_to(src).parts[0]
        if folder not in layers:
            print(f"{file}: folder {folder} is not in layers.txt")
            wrong += 1
            continue
        for number, line in enumerate(file.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            target = match.group(1)
            top = target.split("/")[0]
            if target.endswith(".cc"):
                print(f"{file}:{number}: includes a source file: {target}")
            elif top in layers and top != folder and top not in layers[folder]:
                print(f"{file}:{number}: {folder} may not include {top} ({target})")
            elif "/" in target and (src / target).exists() or top in layers:
                continue
            else:
                print(f'{file}:{number}: "{target}" is not a path from src/')
            wrong += 1
    if wrong:
        sys.exit(1)
    print(f"layers: {len(layers)} folders, no arrow points up")


if __name__ == "__main__":
    main()
