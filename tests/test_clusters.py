"""The scripts of docs/clusters.md: their commands are valid, and they repeat a command that ends with 75 and no other one."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from ssl_jax.cli.running import RESUMABLE
from ssl_jax.cli.taking import take
from ssl_jax.commands import read_options
from ssl_jax.recipes import find

PAGE = (Path(__file__).parents[1] / "docs/clusters.md").read_text()
SCRIPTS = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
SLURM = next(script for script in SCRIPTS if "#SBATCH" in script)
TPU = next(script for script in SCRIPTS if "gcloud" in script)


def run(script, folder, codes, **others):
    """The exit code of a script and the calls of ssl-jax and of other programs, which stand-ins write into a file.

    codes: what ssl-jax, or srun, ends with, one call after the other.
    """
    (folder / "codes").write_text("\n".join(map(str, codes)) + "\n")
    calls = folder / "calls"
    take = f'code=$(head -1 {folder}/codes); sed -i 1d {folder}/codes; exit "$code"'
    programs = {"srun": take, "ssl-jax": take, "scontrol": "exit 0", "gcloud": 'eval "${@: -1#--command=}"', **others}
    for name, body in programs.items():
        (folder / name).write_text(f'#!/bin/bash\necho {name} "$@" >> {calls}\n{body}\n')
        (folder / name).chmod(0o755)
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "SLURM_JOB_ID": "17"}
    code = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True).returncode
    return code, calls.read_text().splitlines()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.split("\n", 1)[0][:20])
def test_a_script_is_valid_bash(script):
    checked = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
    assert checked.returncode == 0 and not checked.stderr


@pytest.mark.parametrize(("code", "again"), [(0, False), (1, False), (2, False), (RESUMABLE, True)])
def test_slurm_puts_a_job_back_that_was_stopped_and_no_other(tmp_path, code, again):
    ended, calls = run(SLURM, tmp_path, [code])
    assert ended == code
    assert calls[0].startswith("srun ssl-jax pretrain simclr --recipe imagenet --run /shared/simclr")
    assert calls[1:] == ["scontrol requeue 17"] * again


def test_a_tpu_pod_repeats_a_command_until_it_has_finished_or_failed(tmp_path):
    gcloud = 'last="${@: -1}"; bash -c "${last#--command=}"'
    for codes, ended in (([75, 75, 0], 0), ([75, 1], 1), ([2], 2)):
        (tmp_path / "calls").unlink(missing_ok=True)
        code, calls = run(TPU, tmp_path, codes, gcloud=gcloud)
        assert code == ended
        assert sum(call.startswith("ssl-jax") for call in calls) == len(codes)


def test_kubernetes_ignores_a_stop_and_ends_a_job_at_a_mistake():
    yaml = pytest.importorskip("yaml")
    job = yaml.safe_load(re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[1])["spec"]
    (container,) = job["template"]["spec"]["containers"]
    rules = {rule["action"]: rule["onExitCodes"] for rule in job["podFailurePolicy"]["rules"] if "onExitCodes" in rule}
    assert rules["Ignore"]["values"] == [RESUMABLE] and rules["FailJob"]["values"] == [2]
    assert {rule["containerName"] for rule in rules.values()} == {container["name"]}
    assert job["template"]["spec"]["restartPolicy"] == "Never"  # What a policy of failures needs.
    volumes = {volume["name"] for volume in job["template"]["spec"]["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    check(container["command"])


@pytest.mark.parametrize("line", re.findall(r"ssl-jax (pretrain simclr [^;\n']+)", PAGE))
def test_the_commands_are_valid(line):
    check(["ssl-jax", *shlex.split(line)])


def check(words):
    program, command, method, *options = words
    assert (program, command) == ("ssl-jax", "pretrain")
    recipe = take(options, "--recipe") or "demo"
    make, chosen = read_options(find(method, recipe), options, prog="ssl-jax pretrain")
    assert chosen.run is not None and make.func
