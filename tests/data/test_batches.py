"""The input of training: one order whichever way it is read, exact resuming, nothing implicit."""

import json
import socket
import sys
from subprocess import PIPE, Popen

import jax
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ssl_jax.data import Batches, Synthetic
from ssl_jax.errors import UsageError

SOURCE = Synthetic(size=22, side=4)


WITH_WORKERS = """
import jax, numpy
from ssl_jax.data import Batches, Synthetic

if __name__ == "__main__":
    jax.config.update("jax_platforms", "cpu")
    source = Synthetic(size=22, side=40)
    with Batches(source, 8, seed=3, load_into_memory=False, workers=2, threads=2) as batches:
        streamed = [next(batches) for _ in range(6)]
    held = Batches(source, 8, seed=3, load_into_memory=True)
    jax.tree.map(numpy.testing.assert_array_equal, streamed, [next(held) for _ in range(6)])
    print("equal")
"""

IN_TWO_PROCESSES = """
import sys, jax, numpy
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from ssl_jax.data import Batches, Synthetic

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_cpu_collectives_implementation", "gloo")
jax.distributed.initialize(sys.argv[1], 2, int(sys.argv[2]))

class Mine(Synthetic):
    def __getitem__(self, number):
        read.append(number)
        return super().__getitem__(number)

mesh = Mesh(numpy.array(jax.devices()), ("data",))
spread, whole = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in (["data"], []))
for hold in (True, False):
    read = []
    with Batches(Mine(size=22, side=4), 8, seed=3, sharding=spread, load_into_memory=hold, threads=1) as batches:
        with jax.transfer_guard("disallow"):
            next(batches)
            batch = jax.jit(lambda batch: batch, out_shardings=whole)(next(batches))
    index = numpy.asarray(batch["index"].addressable_data(0)).tolist()
    images = numpy.asarray(batch["image"].addressable_data(0))
    assert all((image == Synthetic(size=22, side=4)[number]["image"]).all() for image, number in zip(images, index))
    assert hold or read[4:8] == index[4 * jax.process_index() :][:4]
    print(index)
"""


def sharding(devices=4):
    return NamedSharding(Mesh(np.array(jax.devices()[:devices]), ("data",)), PartitionSpec("data"))


def take(batches, count):
    return jax.device_get([next(batches) for _ in range(count)])


def batches(**options):
    return Batches(SOURCE, 8, **{"seed": 3, "sharding": sharding(), **options})


def equal(first, second):
    jax.tree.map(np.testing.assert_array_equal, first, second)


def test_a_batch_is_what_the_source_has_at_its_index():
    batch = take(batches(), 1)[0]
    assert {name: array.shape for name, array in batch.items()} == {"image": (8, 4, 4, 3), "label": (8,), "index": (8,)}
    assert [array.dtype.name for array in batch.values()] == ["uint8", "int32", "int32"]
    for row, number in enumerate(batch["index"]):
        np.testing.assert_array_equal(batch["image"][row], SOURCE[number]["image"])
        assert batch["label"][row] == SOURCE[number]["label"]


@pytest.mark.parametrize("options", [{"threads": 1}, {"threads": 3}, {"threads": 2, "sharding": None}])
def test_streamed_is_held(options):
    with batches(load_into_memory=False, **options) as streamed:
        equal(take(streamed, 6), take(batches(load_into_memory=True), 6))


def start(tmp_path, script, *arguments):
    """A script of its own: workers import the main module, and a process joins others only before it has used JAX."""
    path = tmp_path / "script.py"
    path.write_text(script)
    return Popen([sys.executable, "-W", "error", path, *arguments], stdout=PIPE, stderr=PIPE, text=True)


@pytest.mark.slow
def test_worker_processes_do_not_change_the_order(tmp_path):
    workers = start(tmp_path, WITH_WORKERS)
    assert workers.communicate() == ("equal\n", "")


@pytest.mark.slow
def test_two_processes_read_a_half_each_and_share_one_batch(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    processes = [start(tmp_path, IN_TWO_PROCESSES, address, number) for number in "01"]
    said = [process.communicate()[0].splitlines()[-2:] for process in processes]
    expected = [take(batches(), 2)[1]["index"].tolist()] * 2
    assert [json.loads(line) for line, _ in said] == [json.loads(line) for _, line in said] == expected


@pytest.mark.parametrize("held", [True, False])
def test_it_goes_on_where_it_was(held):
    whole = take(batches(load_into_memory=True), 7)
    with batches(load_into_memory=held) as before:
        take(before, 3)
        state = json.loads(json.dumps(before.state()))
        ahead = take(before, 2)
    assert state == {"seed": 3, "batch_size": 8, "size": 22, "step": 3}
    equal(ahead, whole[3:5])
    with batches(load_into_memory=held) as after, batches(load_into_memory=held, start=3) as started:
        take(after, 1)
        after.restore(state)
        equal(take(after, 4), whole[3:])
        equal(take(started, 4), whole[3:])


@pytest.mark.parametrize("held", [True, False])
def test_nothing_is_transferred_implicitly_and_the_batch_lies_where_it_was_asked_for(held):
    with batches(load_into_memory=held) as there, jax.transfer_guard("disallow"):
        batch = next(there)
    assert all(array.sharding.is_equivalent_to(sharding(), array.ndim) for array in batch.values())


def test_devices_do_not_talk_to_gather_a_batch():
    there = batches(load_into_memory=True)
    index = next(there)["index"]
    program = there._take.lower(there._whole, index).compile().as_text()
    assert not any(word in program for word in ("all-gather", "all-reduce", "all-to-all", "collective-permute"))


def test_what_fits_is_held(monkeypatch):
    assert batches().held
    monkeypatch.setattr("ssl_jax.data.batches.LARGEST_HELD", 4 * 22 * 4 * 4 * 3 - 1)  # A copy on each of 4 devices.
    assert not batches().held
    assert batches(sharding=None).held


@pytest.mark.parametrize(
    "mistake, sentence",
    [
        (
            lambda: Batches(Synthetic(size=2**31, side=4), 8, seed=0),
            "data: synthetic:0 has 2147483648 examples, expected at most 2147483647, as their indices are int32: "
            "train on a part of them.",
        ),
        (
            lambda: Batches(SOURCE, 23, seed=0),
            "batch_size: got 23, but synthetic:0 has 22 examples: choose 1 to 22.",
        ),
        (
            lambda: Batches(SOURCE, 6, seed=0, sharding=sharding()),
            "batch_size: 6 examples cannot be shared equally by 4 devices: choose a multiple of 4.",
        ),
        (lambda: Batches(SOURCE, 8, seed=-1), "seed: got -1, but it must be at least 0 and below 2**32."),
        (
            lambda: batches().restore({"seed": 3, "batch_size": 8, "size": 21, "step": 1}),
            "size: the saved position in the input has 21, but this run has 22: "
            "resume with the same data, batch_size and seed, or start again in another folder.",
        ),
        (
            lambda: batches().restore({"seed": 4, "batch_size": 8, "size": 22, "step": 1}),
            "seed: the saved position in the input has 4, but this run has 3: "
            "resume with the same data, batch_size and seed, or start again in another folder.",
        ),
    ],
)
def test_mistakes_are_said_in_a_sentence(mistake, sentence):
    with pytest.raises(UsageError) as refused:
        mistake()
    assert str(refused.value) == sentence
