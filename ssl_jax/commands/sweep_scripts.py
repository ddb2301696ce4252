"""The runs of a sweep as a job array of Slurm or an indexed Job of Kubernetes; docs/clusters.md explains their settings."""

import re
import shlex
import textwrap
from collections.abc import Callable, Mapping, Sequence

from ssl_jax import __version__

STOPPED = 75  # The exit code of a run that a signal stopped, and that the same command resumes.


def slurm_script(name: str, commands: Mapping[str, Sequence[str]], *, compare: Sequence[str]) -> str:
    """A script for sbatch, a task for each command; one that was stopped is put back into the queue."""
    return f"""#!/bin/bash
#SBATCH --job-name={_dns_name(name)}
#SBATCH --array=0-{len(commands) - 1}
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append

# When all tasks have ended: {shlex.join(compare)}

case "$SLURM_ARRAY_TASK_ID" in
{_cases(commands, "srun")}
esac
code=$?
if [ "$code" -eq {STOPPED} ]; then
  scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}"
fi
exit "$code"
"""


def kubernetes_job(name: str, commands: Mapping[str, Sequence[str]], *, compare: Sequence[str]) -> str:
    """A Job for kubectl, an index for each command; a mistake ends its index, and the others go on."""
    job = _dns_name(name)
    script = f'case "$JOB_COMPLETION_INDEX" in\n{_cases(commands, "exec")}\nesac\n'
    return f"""# When all indices have ended: {shlex.join(compare)}
apiVersion: batch/v1
kind: Job
metadata:
  name: {job}
spec:
  completionMode: Indexed
  completions: {len(commands)}
  parallelism: {len(commands)}
  backoffLimitPerIndex: 3
  podFailurePolicy:
    rules:
      - action: FailIndex
        onExitCodes: {{containerName: pretrain, operator: In, values: [2]}}
      - action: Ignore
        onExitCodes: {{containerName: pretrain, operator: In, values: [{STOPPED}]}}
      - action: Ignore
        onPodConditions: [{{type: DisruptionTarget}}]
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 120
      containers:
        - name: pretrain
          image: registry.example/ssl-jax:{__version__}
          workingDir: /shared
          command:
            - bash
            - -c
            - |
{textwrap.indent(script, " " * 14)}          resources:
            limits: {{nvidia.com/gpu: 1}}
          volumeMounts:
            - {{name: shared, mountPath: /shared}}
      volumes:
        - name: shared
          persistentVolumeClaim: {{claimName: shared}}
"""


Script = Callable[..., str]
SCRIPTS: dict[str, Script] = {"slurm": slurm_script, "kubernetes": kubernetes_job}


def _cases(commands: Mapping[str, Sequence[str]], launcher: str) -> str:
    return "\n".join(f"  {number}) {launcher} {shlex.join(words)} ;;" for number, words in enumerate(commands.values()))


def _dns_name(name: str) -> str:
    """As Kubernetes wants names: at most 63 lower-case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63].strip("-") or "sweep"
