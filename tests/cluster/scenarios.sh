# What may happen to a run, one function each. Words: lib.sh.
# shellcheck shell=bash disable=SC2154
# Two ranks on each of two nodes, n2 and n3; the supervisor and the spare are n1.
grid='nodes = 2
ranks_per_node = 2'
grid_and_a_spare="$grid
spare_nodes = 1"

scenario_rank_killed() {
  configure "$grid_and_a_spare"
  cluster_up
  submit
  at_step 12
  kill -KILL "$(one_rank)"
  finish
  recovered 1 "rank [0-3] on n3: Killed" 30
}

scenario_rank_stopped() {
  configure "$grid_and_a_spare"
  cluster_up
  submit
  at_step 12
  kill -STOP "$(one_rank)"
  finish
  recovered 1 "rank [0-3] on n3 gave no sign of life" 45
  grep -q "thread" "$run"/launch/stacks-00001-rank-*.txt || fail "no stacks"
}

# The node with the ranks loses its power; the spare takes over; the node comes back when nobody waits.
scenario_node_lost() {
  configure "$grid_and_a_spare"
  cluster_up
  submit
  at_step 12
  "$cluster" kill-node 2
  await 90 "the spare" grep -qs '"event":"recovery"' "$run/train/events.jsonl"
  "$cluster" start-node 2
  finish
  recovered 1 "." 60
}

# There is no spare: the job is queued again and waits until the node is back.
scenario_node_lost_wait() {
  CLUSTER_NODES=2
  configure "$grid
on_node_loss = \"wait\""
  cluster_up
  submit
  at_step 12
  "$cluster" kill-node 2
  await 90 "the job to be queued again" grep -qs '"event":"requeue"' "$run/train/events.jsonl"
  await 30 "the job to wait" sh -c "[ \"\$(squeue -h -j $job -o %T)\" = PENDING ]"
  sleep 5
  [ "$(squeue -h -j "$job" -o %T)" = PENDING ] || fail "it did not wait"
  "$cluster" start-node 2
  finish
  recovered 1 "." 90
}

# There is no spare, and it need not wait: the ranks of one node go on alone. When the other one is back, they
# save, and the job is queued again for both.
scenario_node_lost_shrink() {
  CLUSTER_NODES=2
  configure "$grid
on_node_loss = \"shrink\"
min_nodes = 1
grow_seconds = 2"
  cluster_up
  submit
  at_step 12
  "$cluster" kill-node 2
  await 90 "one node to go on" grep -qs '"event":"recovery"' "$run/train/events.jsonl"
  "$cluster" start-node 2
  finish_close
  # Another recovery when PMIx, on the node that lost its power, stumbles over the socket of a step of old.
  recovered "$(events "sum(x['event'] == 'recovery' for x in e)")" "." 60
  [ "$(events "[x['nodes'] for x in e if x['event'] == 'recovery'][0]")" = "['n1']" ] || fail "it did not go on with one node"
  grep -q "start 3: 4 ranks on n2, n1" "$run/launch/supervisor.log" || fail "it did not grow back"
  [ "$(events "[x['what'] for x in e if x['event'] == 'grow']")" = "['1 more node can be had']" ] || fail "it grew otherwise"
  echo "$name: grown back after $(events "(lambda t: round(min(x['time'] for x in e if x['event'] == 'resume' and x['time'] > t) - t, 1))([x['time'] for x in e if x['event'] == 'grow'][0])") s, no step done again"
}

# Slurm takes no notice of this one: the job runs on with dead ranks.
scenario_node_back_soon() {
  configure "$grid_and_a_spare"
  cluster_up
  submit
  at_step 12
  "$cluster" kill-node 2
  sleep 1.5
  "$cluster" start-node 2
  finish
  recovered 1 "." 60
}

# A node is cut off, and with it the file server from its ranks, which therefore stand still. The spare takes
# over; the stale ranks come back to life beside it and must not commit anything. All four are on one node, so
# that they can go on among themselves; their sums have the order of two nodes.
# shellcheck disable=SC2086
stale_are_gone() { ! kill -0 $stale 2>/dev/null; }
scenario_cable_cut() {
  configure 'nodes = 1
ranks_per_node = 4
spare_nodes = 1
setup = ["export NATIVO_RANKS_PER_NODE=2"]'
  cluster_up
  submit
  at_step 12
  stale=$(rank_pids)
  # shellcheck disable=SC2086
  kill -STOP $stale
  "$cluster" cut 2
  await 90 "the spare" grep -qs '"event":"recovery"' "$run/train/events.jsonl"
  # shellcheck disable=SC2086
  kill -CONT $stale
  await 60 "the stale ranks' end" stale_are_gone
  grep -q '"exit":73' "$run"/launch/heartbeats-00001/rank-*.exit || fail "the stale ranks were not refused"
  "$cluster" heal 2
  finish
  recovered 1 "rank [0-3] on n2|node n2 failed" 60
}

# The supervisor's own node is gone; a deputy on the other one queues the job again.
scenario_batch_host_killed() {
  configure "$grid_and_a_spare"
  cluster_up
  submit
  at_step 12
  # The ranks are on the other nodes: a fast machine would have them done before anybody misses the host.
  rank_pids | xargs -r kill -STOP
  "$cluster" kill-node 1
  await 120 "another start" grep -qs '"event":"recovery"' "$run/train/events.jsonl"
  "$cluster" start-node 1
  finish
  recovered 1 "supervisor on n1 was lost" 90
}

scenario_controller_restarted() {
  configure "$grid_and_a_spare"
  cluster_up
  submit
  at_step 12
  # Slurm saves every few seconds; a controller that never knew that the job runs would start it again.
  await 20 "the controller to save" [ "$CLUSTER_ROOT/state/job_state" -nt "$run/launch/supervisor.log" ]
  "$cluster" kill-controller
  sleep 3
  "$cluster" start-controller
  finish
  [ "$(json "$run/launch/supervisor.json" 'j["faults"]')" = 0 ] || fail "a fault was seen"
  echo "$name: no interruption"
}

# The run folder fills up while it trains, and is given space again.
scenario_disk_full() {
  mkdir -p "$run"
  mount -t tmpfs -o size=260m tmpfs "$run" || fail "tmpfs"
  configure "$grid_and_a_spare"
  cluster_up
  trap '"$cluster" down; umount -l "$run"' EXIT
  submit
  at_step 12
  head -c 300000000 /dev/zero >"$run/filler" 2>/dev/null || true
  await 60 "a full disk to be noticed" sh -c "grep -qE 'waiting|No space' '$run/launch/supervisor.log' || [ -s '$run/launch/ranks-00002.log' ] || grep -rqs 'No space' '$run/launch/'"
  sleep 2
  rm -f "$run/filler"
  finish
  recovered "$(events "sum(x['event'] == 'recovery' for x in e)")" "space|exit code 7" 60
}

# Stopped well, its newest checkpoint damaged, and started again: the one before it is used.
scenario_damaged_checkpoint() {
  configure "$grid_and_a_spare"
  cluster_up
  submit
  at_step 17
  "$nativo" stop "$run" || fail "stop"
  await 60 "the run to stop" state_is stopped
  damaged=$(newest_checkpoint)
  printf 'X' | dd of="$damaged/model.safetensors" bs=1 seek=5000 conv=notrunc status=none
  await 30 "the job's end" sh -c "[ -z \"\$(squeue -h -j $job -t RUNNING,COMPLETING)\" ]"
  submit
  finish
  grep -q "is damaged and not used" "$run"/launch/ranks-*.log || fail "the damage was not said"
  echo "$name: $(basename "$damaged") was passed over, resumed after step $(events "[x['step'] for x in e if x['event'] == 'resume'][-1]")"
}

scenario_two_jobs() {
  configure "$grid"
  cluster_up
  submit
  at_step 5
  ! "$nativo" slurm submit -c "$work/nativo.toml" --verb train 2>"$work/refused" || fail "a second job was submitted"
  grep -q "works on this run folder already" "$work/refused" || fail "$(cat "$work/refused")"
  second=$(sbatch --parsable "$run/launch/job.sh")
  await 60 "the second job's end" sh -c "[ -z \"\$(squeue -h -j $second -t PENDING,RUNNING,COMPLETING 2>/dev/null)\" ]"
  finish
  grep -q "the run folder is locked by host" "$run/launch/supervisor.log" || fail "the second job was not refused"
  [ "$(json "$run/launch/supervisor.json" 'j["restart"]')" = 1 ] || fail "ranks were started twice"
  echo "$name: the second is refused, the first takes no notice"
}

# A more urgent job takes the nodes while every step ends in a save.
scenario_preempted() {
  configure "$grid_and_a_spare"
  cluster_up
  submit --set train.checkpoint_every=1
  at_step 12
  sbatch --partition=urgent --nodes=2 --ntasks-per-node=4 --output=/dev/null --wrap 'sleep 5' >/dev/null
  finish
  grep -q "asking the ranks to save" "$run/launch/supervisor.log" || fail "nobody was asked to save"
  [ "$(events "sum(x['event'] == 'requeue' for x in e)")" -ge 1 ] || fail "the job was not queued again"
  echo "$name: saved, queued again, resumed after step $(events "[x['step'] for x in e if x['event'] == 'resume'][-1]")"
}

# Data stages as arrays: what several tasks make on all nodes is, byte for byte, what one process made. One task
# is killed; the job that joins makes what it left out.
scenario_stage_arrays() {
  configure 'cpus_per_rank = 2'
  rm -rf "$run"
  cluster_up
  for stage in translate filter; do
    "$nativo" slurm submit -c "$work/nativo.toml" --stage "$stage" --tasks 4 >"$work/jobs" || fail "submit $stage"
    array=$(sed -n 's/^job \([0-9]*\) makes the blocks/\1/p' "$work/jobs")
    [ "$stage" != translate ] || scancel "${array}_2" || fail "scancel"
    await 120 "the jobs of $stage" job_is_gone
    for file in "$prepared/run/stages/$stage"/*.zst; do
      cmp "$file" "$run/stages/$stage/$(basename "$file")" || fail "$stage: $(basename "$file") differs"
    done
    grep -q "part 0 of 4 is done" "$run/launch/$stage-0.log" || fail "task 0 did nothing"
  done
  [ ! -e "$run/launch/translate-2.log" ] || fail "task 2 ran"
  blocks=$(find "$run/stages/translate" -name 'records-*' | wc -l)
  nodes_used=$(grep -o 'NodeList=n[0-9]' "$CLUSTER_ROOT/log/jobs.txt" | sort -u | wc -l)
  [ "$nodes_used" -gt 1 ] || fail "all tasks ran on one node"
  echo "$name: $blocks blocks of translate by 3 of 4 tasks on $nodes_used nodes, the same bytes"
}

# Nothing is saved on the way, but copied every second step into the memory of the ranks' nodes and of their
# neighbours. A rank is killed, and then a node with all that it holds: what is done again is what was not copied.
scenario_neighbour_memory() {
  configure "$grid_and_a_spare"
  cluster_up
  submit --set train.checkpoint_every=1000 --set dist.neighbour_every=2
  at_step 12
  kill -KILL "$(one_rank)"
  await 60 "the first recovery" grep -qs '"event":"recovery"' "$run/train/events.jsonl"
  await 60 "step 30" step_reached 30
  "$cluster" kill-node 2
  await 90 "the second recovery" sh -c "[ \"\$(grep -c '\"event\":\"recovery\"' '$run/train/events.jsonl')\" = 2 ]"
  "$cluster" start-node 2
  finish
  recovered 2 "rank [0-3] on n3: Killed" 60
  [ "$(events "max(x['steps_lost'] for x in e if x['event'] == 'recovery')")" -le 6 ] || fail "too many steps were lost"
  [ "$(events "min(x['step'] for x in e if x['event'] == 'recovery')")" -ge 6 ] || fail "the copies were not used"
}
