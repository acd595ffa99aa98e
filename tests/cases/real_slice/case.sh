# A slice of public data, all the way. Needs NATIVO_DATA (see tools/run_real); does nothing without.
if [ -z "${NATIVO_DATA:-}" ]; then
  echo "skipped: NATIVO_DATA is not set"
  exit 77
fi
limits=
for source in gsm8k dolly gpteacher freecodecamp react pinocchio; do
  limits="$limits --set source.$source.limit=40"
done
code=0
NATIVO=$NATIVO "$SOURCE/tools/run_real" "$NATIVO_DATA" $limits --set run.dir="$PWD/run" \
  --set model.vocab_size=2000 --set base.max_steps=5 --set train.max_steps=5 \
  --set eval.task.xcopa_it.limit=10 --set eval.task.squad_it.limit=4 \
  --set eval.task.nextword_it.limit=10 >stdout.txt 2>stderr.txt || code=$?
[ $code = 0 ] || fail "exit code $code"
for stage in ingest dedup_sources translate filter dedup mix; do rows_balance $stage; done
# React's pages were mostly left in English: the filter must notice.
manifest filter "sum(n for r, n in m['rejects'].items() if 'lang' in r) >= 15"
[ -s run/report.html ] || fail "no report"
