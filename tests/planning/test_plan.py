"""Plans of runs: what is assumed, the largest batch, the advice, the command, and its sentences about mistakes."""

import dataclasses
import functools
import importlib.util
import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from ssl_jax import recipes
from ssl_jax.cli import main
from ssl_jax.commands import planned_again
from ssl_jax.data.outline import Outline, is_outline, outline
from ssl_jax.errors import UsageError
from ssl_jax.ops.comparison import Comparison
from ssl_jax.planning import plan_run
from ssl_jax.planning.advice import advice
from ssl_jax.planning.chips import GIB, TPUS
from ssl_jax.planning.compiled_text import read_program
from ssl_jax.planning.costs import Costs, Traffic, costs_of
from ssl_jax.planning.largest import largest_batch
from ssl_jax.planning.setting import assume
from ssl_jax.planning.step import CompiledStep, Memory, memory_of, stated
from ssl_jax.planning.summary import summary, table
from ssl_jax.planning.targets import Target, this_machine, topology
from ssl_jax.train.compilation import not_kept
from ssl_jax.train.execution import PLAIN, Execution
from ssl_jax.train.mesh import mesh_over

LIBTPU = importlib.util.find_spec("libtpu") is not None
TINY = {"data": "synthetic", "image_size": 14, "encoder": "vit_micro/7", "batch_size": 8, "epochs": 2}
STEP = CompiledStep(
    batch_size=64,
    devices=4,
    parameters=10,
    products=8e12,
    seconds=1.0,
    effort=0.0,
    needed=float(GIB),
    memory=Memory(2**29, 2**28, 2**28, 2**29, 0),
    costs=Costs(2e12, 1e9, {"all-reduce": Traffic(3, 2e6, 4e6)}),
)


def step_of(batch_size, *, fixed=1.0, each=0.01, refused=False):
    needed = (fixed + each * batch_size) * GIB
    return dataclasses.replace(STEP, batch_size=batch_size, needed=needed, refused="no" if refused else None)


def test_outlines_stand_for_data_that_are_not_there():
    find = functools.partial(recipes.find, "simclr")
    setting = assume(find("imagenet"), {"encoder": "small", "batch_size": 256}, accelerator=True)
    recipe = setting.make()
    assert len(recipe.data.train) == 1_281_167 and recipe.data.train.image_shape == (256, 256, 3)
    assert recipe.arguments["precision"] == "bfloat16" and recipe.steps == 100 * (1_281_167 // 256)
    assert "1,281,167" in setting.assumed[1] and "bfloat16" in setting.assumed[0]
    part = {"data": "imagenet2012:train[:10%]", "encoder": "small", "batch_size": 256}
    fewer = assume(find("imagenet"), part, accelerator=False, examples=1000).make()
    assert len(fewer.data.train) == 1000 and fewer.arguments["precision"] == "auto"
    here = assume(find("demo"), {}, accelerator=False)
    assert not here.assumed and len(here.make().data.train) == 4000
    for data, word in ((part["data"], "a part"), ("nobodys_data", "not known")):
        with pytest.raises(UsageError, match=f"^examples: .*{word}.*give --examples N"):
            assume(find("imagenet"), {"data": data}, accelerator=True)


def test_an_outline_of_clips_and_of_other_channels():
    data = outline("kinetics", size=16)
    assert data.train[0]["image"].shape == (8, 16, 16, 3) == data.train.image_shape and "audio" in data.train[7]
    assert is_outline(data.train) and not is_outline(recipes.find("simclr", "demo")().data.train)
    with pytest.raises(IndexError):
        Outline("x", data.train._size, image_size=8)[240_000]
    assert outline("nobodys_data", size=8) is None and len(outline("nobodys_data", size=8, examples=5).train) == 5


def test_clusterfit_has_a_cluster_for_each_example_of_an_outline():
    given = {"encoder": "small", "features": "not_there.npy"}
    recipe = assume(recipes.find("clusterfit", "imagenet"), given, accelerator=False).make()
    assert recipe.method.clusters.shape == (1_281_167,)


def test_the_largest_batch_lies_on_a_line_and_is_compiled_where_asked():
    asked = []

    def compile_at(batch, **options):
        asked.append(batch)
        return step_of(batch, **options)

    find = functools.partial(largest_batch, limit=10 * GIB, unit=8, most=10**6)
    found = find(compile_at, step_of(64), verify=False)
    assert (found.batch_size, found.verified, asked) == (896, False, [32]) and found.needed == pytest.approx(9.96 * GIB)
    assert find(compile_at, step_of(64), verify=True).verified and asked == [32, 32, 896]
    assert largest_batch(compile_at, step_of(64), limit=10 * GIB, unit=8, most=500, verify=False).batch_size == 496
    assert find(compile_at, step_of(8), verify=False).batch_size == 896 and asked[-1] == 16
    # Fixed memory alone is too much; more than a line predicts; the first batch was refused, and the compiler said its need.
    assert find(functools.partial(step_of, fixed=20), step_of(64, fixed=20), verify=True).batch_size is None
    curved = find(lambda batch: step_of(batch, each=0.01 if batch < 800 else 0.012), step_of(64), verify=True)
    assert curved.verified and curved.batch_size == 744 and curved.needed <= 10 * GIB
    odd = find(
        lambda batch: step_of(batch, refused=batch > 500), step_of(64), verify=True
    )  # In spite of what it needs.
    assert not odd.verified and odd.batch_size == 880
    refused = step_of(2048, refused=True)
    assert find(compile_at, refused, verify=False).batch_size == 896
    assert find(compile_at, dataclasses.replace(refused, needed=None), verify=False) is None


def test_advice_names_options_of_pretrain_and_is_silent_where_the_step_fits():
    too_large = dataclasses.replace(STEP, needed=6.0 * GIB)
    assert advice(STEP, PLAIN, {}, limit=2 * GIB) == []
    found = advice(too_large, PLAIN, {"precision": "float32"}, limit=GIB)
    assert [sentence.split(":")[0] for sentence in found] == [
        "--shard-parameters (FSDP)", "--microbatches 8", "--rematerialize", "--precision bfloat16",
        "more chips, a chip with more memory, or a smaller --batch-size",
    ]  # fmt: skip
    used = Execution(True, Comparison("gather"), microbatches=16, rematerialize=True)
    assert [sentence.split()[0] for sentence in advice(too_large, used, {}, limit=GIB)] == ["--keys", "more"]
    words = {word.strip(":") for sentence in found for word in sentence.split() if word.startswith("--")}
    assert words <= {"--shard-parameters", "--microbatches", "--rematerialize", "--precision", "--keys", "--batch-size"}


def test_the_compilers_refusals_state_what_is_needed():
    assert stated("Ran out of memory in memory space hbm. Used 33.5G of 15.75G hbm.") == 33.5 * GIB
    assert stated("required for HLO temporaries (128.00G) exceeds available HBM (15.75G)") == 128 * GIB
    assert stated("RESOURCE_EXHAUSTED: something else") is None


def test_hours_follow_from_the_roofline():
    recipe = recipes.find("simclr", "demo")(batch_size=64, epochs=1)
    target = Target("v5e:2x2", this_machine(4).mesh, TPUS["v5e"])
    plan = summary(recipe, target, STEP, None)
    seconds = 2e12 / TPUS["v5e"].flops
    assert (
        plan["seconds"]["step"] == seconds and plan["bound"] == "compute" and plan["images_per_second"] == 64 / seconds
    )
    assert plan["epochs_per_day"] == pytest.approx(64 / seconds * 86_400 / 4000) and plan["steps"] == 62
    assert plan["chip_hours"] == 4 * plan["hours"] == pytest.approx(4 * 62 * seconds / 3600)
    assert plan["memory"]["fits"] and plan["memory"]["peak"] == GIB
    text = table(plan)
    assert "1.00 GiB a device of 15.75 GiB: fits" in text and "optimistic" in text and "all-reduce" in text
    refused = summary(
        recipe, target, dataclasses.replace(STEP, costs=None, memory=None, refused="x", needed=20 * GIB), None
    )
    assert refused["flops"] == 2e12 and not refused["memory"]["fits"] and "does NOT fit" in table(refused)


def test_memory_is_that_of_the_arrays(monkeypatch):
    """Predicted arguments and results are the bytes of the live arrays, to the byte, and a donated one is counted once."""
    rows, weights = jnp.ones((64, 32)), jnp.ones((32, 32))
    compiled = (
        jax.jit(lambda rows, weights: (rows + 1, rows @ weights), donate_argnums=0).lower(rows, weights).compile()
    )
    memory = memory_of(compiled)
    assert memory.arguments == rows.nbytes + weights.nbytes and memory.aliased == rows.nbytes
    made = compiled(rows, weights)
    assert sum(array.nbytes for array in made) <= memory.outputs <= sum(array.nbytes for array in made) + 64
    assert memory.peak == memory.arguments + memory.outputs - memory.aliased + memory.temporaries + memory.code


@pytest.mark.slow
def test_the_command_on_devices_of_this_machine(tmp_path, capsys):
    words = [f"--{name.replace('_', '-')}={value}" for name, value in TINY.items() if name != "batch_size"]
    options = [
        "--devices=4",
        "--global-batch=8",
        "--microbatches=2",
        "--shard-parameters",
        "--rematerialize",
        "--keys=ring",
    ]
    output = tmp_path / "new" / "plan.json"
    assert main(["plan", "simclr", *words, *options, f"--output={output}"]) == 0
    said = capsys.readouterr()
    (line,) = said.out.splitlines()
    plan = json.loads(line)
    assert plan == json.loads(output.read_text()) and "batch 8 on 4 x cpu" in said.err
    assert (plan["batch_size"], plan["devices"], plan["examples"], plan["steps"]) == (8, 4, 512, 128)
    assert plan["execution"]["microbatches"] == 2 and plan["execution"]["keys"] == "ring"
    assert plan["parameters"] > 1000 and plan["memory"]["limit"] is None and "images_per_second" not in plan
    assert plan["flops"] > 0 and plan["bytes"] > 0 and plan["collectives"]["all-reduce"]["count"] > 1


@pytest.fixture
def run(tmp_path):
    """The folder of a run: its run.json."""
    arguments = recipes.find("simclr", "demo")(**TINY | {"temperature": 0.3}).arguments
    request = {"method": "simclr", "recipe": "demo", "arguments": arguments, "seed": 3, "microbatches": 2}
    (tmp_path / "run.json").write_text(json.dumps(request | {"examples": {"train_examples": 12_345}}))
    return tmp_path


def test_the_plan_of_a_run_has_its_recipe_seed_and_microbatches(run, monkeypatch, capsys):
    planned = {}

    def plan_of(make, target, *, given, execution, **rest):
        planned.update(given | rest, target=target.name, recipe=make(**given), microbatches=execution.microbatches)
        return {}

    monkeypatch.setattr("ssl_jax.commands.planning.plan_run", plan_of)
    monkeypatch.setattr("ssl_jax.commands.planning.table", str)
    assert main(["plan", "--from", str(run), "--devices", "4", "--global-batch=16", "--largest", "skip"]) == 0
    assert json.loads(capsys.readouterr().out) == {}
    assert (planned["seed"], planned["microbatches"], planned["largest"], planned["target"]) == (
        3,
        2,
        "skip",
        "4 x cpu",
    )
    assert planned["recipe"].batch_size == 16 and planned["recipe"].arguments["temperature"] == 0.3
    assert planned["examples"] is None  # These images are made, and so at hand.
    assert main(["plan", f"--from={run / 'run.json'}", "--microbatches=1"]) == 0
    assert (planned["microbatches"], planned["recipe"].batch_size) == (1, 8)


def test_the_plan_of_a_run_whose_data_are_elsewhere(run, tmp_path, capsys):
    request = json.loads((run / "run.json").read_text())
    request["arguments"]["data"] = "/elsewhere/images"
    (run / "run.json").write_text(json.dumps(request))
    make, _, planned = planned_again(run, [])
    assert planned.examples == 12_345
    recipe = assume(make.func, make.keywords, accelerator=False, examples=planned.examples).make()
    assert len(recipe.data.train) == 12_345
    assert planned_again(run, ["--examples", "10"])[2].examples == 10
    for words, sentence in (
        (["--from", str(tmp_path / "no")], "run: there is no"),
        (["--from"], "--from needs a value"),
    ):
        assert main(["plan", *words]) == 2
        assert capsys.readouterr().err.startswith(f"ssl-jax: {sentence}")


@pytest.mark.slow
def test_more_devices_take_less_of_a_sharded_state():
    make = recipes.find("simclr", "demo")
    plans = [
        plan_run(
            make, this_machine(devices), given=TINY | {"batch_size": 16}, execution=Execution(shard_parameters=True)
        )
        for devices in (1, 8)
    ]
    assert plans[1]["memory"]["arguments"] < plans[0]["memory"]["arguments"] / 2
    assert (
        plans[1]["products"] == pytest.approx(plans[0]["products"], rel=0.02)
        and plans[1]["flops"] < plans[0]["flops"] / 4
    )


MISTAKES = {
    "topology: got 'v9:4x4', expected one of v3, v4, v5e": ["--topology", "v9:4x4"],
    "topology: got 'v5e', expected": ["--topology", "v5e"],
    "topology: got 'v5e:0x4', expected": ["--topology", "v5e:0x4"],
    "topology: got 'v5e:2x2x00slices', expected": ["--topology", "v5e:2x2x00slices"],
    "topology: got v3:2x2x2slices, but the bandwidth between slices of v3": ["--topology", "v3:2x2x2slices"],
    "batch_size: 6 examples cannot be shared equally by 4 devices": ["--devices", "4", "--global-batch", "6"],
    "devices: got 4 and the topology v5e:2x2: give one": ["--topology", "v5e:2x2", "--devices", "4"],
    "output: got plan.txt, expected a file that ends in .json": ["--output", "plan.txt"],
    "effort: got 2.0, expected -1 to 1": ["--effort", "2"],
    "examples: the number of training examples of nobodys_data is not known: give": ["--data", "nobodys_data"],
}


@pytest.mark.parametrize("sentence", MISTAKES)
def test_mistakes_are_one_sentence(sentence, capsys):
    assert main(["plan", "simclr", *MISTAKES[sentence]]) == 2
    said = capsys.readouterr()
    assert said.err.splitlines()[-1].startswith(f"ssl-jax: {sentence}") and not said.out


def test_without_libtpu_the_extra_is_named(monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"^topology: v5e:2x2 .* not installed: pip install 'ssl_jax\[tpu\]'"):
        topology("v5e:2x2")


def test_help_without_a_method_does_not_wait_for_jax():
    program = "import sys; from ssl_jax.cli import main; main(['plan', '--help']); sys.exit('jax' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shown.stdout.startswith("usage: ssl-jax plan METHOD") and "--topology" in shown.stdout


@pytest.mark.skipif(not LIBTPU, reason="libtpu, the compiler for TPUs, is not installed: pip install 'ssl_jax[tpu]'")
def test_a_program_for_tpus_that_are_not_there():
    """A product over 4 chips, ten times in a loop, whose weight gradient is summed over the chips."""
    target = topology("v5e:2x2")
    assert (target.chips, target.memory, target.is_processor) == (4, 15.75 * GIB, False)
    rows = jax.ShapeDtypeStruct((64, 128), jnp.float32, sharding=NamedSharding(target.mesh, PartitionSpec("data")))
    weights = jax.ShapeDtypeStruct((128, 128), jnp.float32, sharding=NamedSharding(target.mesh, PartitionSpec()))

    def loss(weights, rows):
        return (jax.lax.scan(lambda rows, _: (jnp.tanh(rows @ weights), None), rows, None, length=10)[0] ** 2).sum()

    with not_kept():
        compiled = jax.jit(jax.grad(loss)).lower(weights, rows).compile()
    found = costs_of(read_program(compiled.as_text()))
    assert found.flops == 3 * 10 * 2 * 16 * 128 * 128 and found.traffic["all-reduce"].results >= weights.size * 4
    assert memory_of(compiled).arguments >= rows.size * 4 / 4 + weights.size * 4
    slices = topology("v5e:2x2x2slices")
    assert slices.chips == 8 and [device.slice_index for device in slices.mesh.devices.flat] == [0] * 4 + [1] * 4
    with pytest.raises(UsageError, match=r"^devices: got 7 of 2 slices, \[3, 4\] of each, expected as many of each"):
        mesh_over(list(slices.mesh.devices.flat)[:7])
    with pytest.raises(
        UsageError, match=r"^topology: libtpu refuses v5e:3x3 \(.*\): choose another grid, such as v5e:4x4\.$"
    ):
        topology("v5e:3x3")
