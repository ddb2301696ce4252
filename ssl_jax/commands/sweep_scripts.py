"""The runs of a sweep as a job array of Slurm or an indexed Job of Kubernetes; docs/clusters.md explains their settings."""

import re
import shlex
import textwrap
from collections.abc import Sequence

from ssl_jax import __version__
from ssl_jax.commands.grid import Sweep
from ssl_jax.errors import pick

STOPPED = 75  # The exit code of a run that a signal stopped, and that the same command resumes.


def sweep_script(kind: str, sweep: Sweep) -> str:
    """The text for a scheduler, "slurm" or "kubernetes"; a `UsageError` for another one.

    Example:
      >>> sweep = commands.make_sweep(
      ...     simclr.demo, ["--seed", "0", "1"], chosen=[], folder=str(folder), prog="ssl-jax sweep simclr"
      ... )
      >>> print(sweep_script("slurm", sweep).splitlines()[0])
      #!/bin/bash
    """
    write = SCRIPTS[pick("script to print", kind, SCRIPTS)]
    commands = [["ssl-jax", *sweep.pretrain(member)] for member in sweep.members]
    return write(_dns_name(sweep.folder.name), commands, shlex.join(["ssl-jax", "compare", str(sweep.folder)]))


def _slurm(name: str, commands: Sequence[Sequence[str]], compare: str) -> str:
    """A script for sbatch, a task for each command; one that was stopped is put back into the queue."""
    return f"""#!/bin/bash
#SBATCH --job-name={name}
#SBATCH --array=0-{len(commands) - 1}
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append

# When all tasks have ended: {compare}

case "$SLURM_ARRAY_TASK_ID" in
{_cases(commands, "srun")}
esac
code=$?
if [ "$code" -eq {STOPPED} ]; then
  scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}"
fi
exit "$code"
"""


def _kubernetes(name: str, commands: Sequence[Sequence[str]], compare: str) -> str:
    """A Job for kubectl, an index for each command; a mistake ends its index, and the others go on."""
    script = f'case "$JOB_COMPLETION_INDEX" in\n{_cases(commands, "exec")}\nesac\n'
    return f"""# When all indices have ended: {compare}
apiVersion: batch/v1
kind: Job
metadata:
  name: {name}
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


SCRIPTS = {"slurm": _slurm, "kubernetes": _kubernetes}


def _cases(commands: Sequence[Sequence[str]], launcher: str) -> str:
    return "\n".join(f"  {number}) {launcher} {shlex.join(words)} ;;" for number, words in enumerate(commands))


def _dns_name(name: str) -> str:
    """As Kubernetes wants names: at most 63 lower-case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63].strip("-") or "sweep"
