# Words for the cases: run the program, look at its exit code, what it says and what it leaves behind.
# A case is a folder with case.sh (sourced here by run_case) and whatever files it needs. It runs in a
# scratch copy of its folder; $NATIVO is the program, $CASES the folder of all cases.
set -u

fail() {
  echo "FAILED: $*" >&2
  [ -f stdout.txt ] && { echo "--- stdout" >&2; tail -40 stdout.txt >&2; }
  [ -f stderr.txt ] && { echo "--- stderr" >&2; tail -40 stderr.txt >&2; }
  exit 1
}

# expect CODE ARGUMENTS...: runs nativo, keeps its output in stdout.txt and stderr.txt. It reads the file
# $input, if that is set (input=FILE expect ...).
expect() {
  local want=$1 got=0
  shift
  "$NATIVO" "$@" >stdout.txt 2>stderr.txt <"${input:-/dev/null}" || got=$?
  [ "$got" = "$want" ] || fail "exit code $got instead of $want: nativo $*"
}

# says REGEX / never_says REGEX: about the last run's output, both streams.
says() { grep -Eq -- "$1" stdout.txt stderr.txt || fail "nothing printed matches: $1"; }
never_says() { ! grep -Eq -- "$1" stdout.txt stderr.txt || fail "printed, but must not be: $1"; }

# rejects STAGE RULE COUNT: so many rows of the run in ./run were rejected by that rule.
rejects() {
  local got
  got=$(zstdcat run/stages/"$1"/rejects-*.jsonl.zst 2>/dev/null | grep -c "\"rule\":\"$2\"" || true)
  [ "$got" = "$3" ] || fail "stage $1 rejected $got rows by $2 instead of $3"
}

# manifest STAGE PYTHON: an expression over `m`, the stage's manifest, that must be true.
manifest() {
  python3 - "run/stages/$1/manifest.json" "$2" <<'PYTHON' || fail "manifest of $1: not true: $2"
import json, sys
m = json.load(open(sys.argv[1]))
sys.exit(0 if eval(sys.argv[2]) else 1)
PYTHON
}

# rows_balance STAGE: rows in + added = rows out + rejects.
rows_balance() { manifest "$1" "m['rows_in'] + m['rows_added'] == m['rows_out'] + sum(m['rejects'].values())"; }
