#!/usr/bin/env bash
# The batch script of a worker (see submit.sh): fills the store until it is complete. Shortly before its time is over it
# stops after the current block of work and goes back to the queue.
# Usage: worker.sh LIMIT CONFIG [eval options]; LIMIT: a time limit in the format of timeout(1); 0: no limit
#SBATCH --nodes=1
set -uo pipefail
if [[ -n ${FACEPOISON_SHARED:-} && ! -e $FACEPOISON_SHARED ]]; then
  echo "worker: $(hostname) has no $FACEPOISON_SHARED: it does not share the store of the machine that submitted" >&2
  exit 3
fi
worker= is_over=no is_ended=no
end() {
  is_ended=yes
  [[ -z $worker ]] || kill -TERM "$worker"
}
trap 'is_over=yes; end' USR1
trap end TERM
timeout --signal=TERM "$1" "$FACEPOISON" eval --worker \
  --start "${SLURM_ARRAY_TASK_ID:-0}/${SLURM_ARRAY_TASK_COUNT:-1}" --config "${@:2}" &
worker=$!
[[ $is_ended == no ]] || end # a signal came before the worker started
code=0
while kill -0 "$worker" 2>/dev/null; do # a signal ends wait before the worker ends
  wait "$worker"
  code=$?
done
if [[ $is_over == yes && $code != 0 ]]; then
  echo "worker: the time is over; back to the queue" >&2
  scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
fi
exit "$code"
