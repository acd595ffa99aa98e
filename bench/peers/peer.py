"""What the peers of bench/translate share: `make FOLDER`, `run FOLDER`, and the line of JSON that a run ends with."""
import argparse
import json
import os
import resource
import sys


def measured(work, version):
    """Runs `work`, prints the lines that it returns, and its CPU seconds as JSON to standard error."""
    before = os.times()
    lines = work()
    after = os.times()
    print("\n".join(lines))
    print(json.dumps({"cpu_s": after.user + after.system - before.user - before.system,
                      "wall_s": after.elapsed - before.elapsed,
                      "memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                      "version": version}), file=sys.stderr)


def main(make, run, **settings):
    """Calls make(folder) or run(options); `settings` are further options with their defaults."""
    parser = argparse.ArgumentParser()
    parser.add_argument("action", choices=["make", "run"])
    parser.add_argument("folder")
    parser.add_argument("--threads", type=int, default=1)
    for name, value in settings.items():
        parser.add_argument("--" + name.replace("_", "-"), type=type(value), default=value)
    options = parser.parse_args()
    make(options.folder) if options.action == "make" else run(options)
