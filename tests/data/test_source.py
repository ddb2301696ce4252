"""Reading a source whole, in order."""

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ssl_jax.data import Arrays, ArraySource, Synthetic, in_order, load_into_memory, model_inputs


def test_hold_is_the_source_in_order_and_remembered_as_long_as_the_source_lives():
    source = Synthetic(size=70, side=4)
    everything = load_into_memory(source)
    assert everything["image"].shape == (70, 4, 4, 3) and everything["label"].dtype == np.int32
    for number in (0, 5, 69):
        np.testing.assert_array_equal(everything["image"][number], source[number]["image"])
        assert everything["label"][number] == source[number]["label"]
    assert load_into_memory(source)["image"] is everything["image"] and not everything["image"].flags.writeable
    gone = weakref.ref(everything["image"])
    del source, everything
    gc.collect()
    assert gone() is None


class Counted(Synthetic):
    """Remembers the numbers of the examples that were read."""

    def __getitem__(self, number):
        self.__dict__.setdefault("read", []).append(number)
        return super().__getitem__(number)


def test_threads_that_hold_a_source_together_read_it_once():
    def held(_):
        begin.wait()
        return load_into_memory(source)

    begin, source = threading.Barrier(4), Counted(size=40, side=4)
    with ThreadPoolExecutor(4) as pool:
        wholes = list(pool.map(held, range(4)))
    assert sorted(source.read) == list(range(40)) and all(whole is wholes[0] for whole in wholes)


def test_small_sources_are_read_in_order_once_and_large_ones_each_time(monkeypatch):
    def examples_read(source):
        for _ in range(3):
            assert sum(len(part["label"]) for part in in_order(source, batch_size=16)) == 40
        return len(source.read)

    assert examples_read(Counted(size=40, side=4)) == 41  # The first also for its size.
    monkeypatch.setattr("ssl_jax.data.source.SMALL", 0)
    assert examples_read(Counted(size=40, side=4)) > 3 * 40


def test_unreadable_examples_of_a_source_in_memory_are_left_out():
    class Broken(Counted):
        unreadable = frozenset({3})

    source = Broken(size=10, side=4)
    load_into_memory(source)
    (part,) = in_order(source, batch_size=16)
    assert part["index"].tolist() == [0, 1, 2, 4, 5, 6, 7, 8, 9]


def test_in_order_goes_through_once_with_a_short_last_batch():
    source = Synthetic(size=22, side=4)
    parts = list(in_order(source, batch_size=8))
    assert [len(part["label"]) for part in parts] == [8, 8, 6]
    for name, whole in {**load_into_memory(source), "index": np.arange(22)}.items():
        np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), whole)


def test_arrays_are_held_already():
    images, labels = np.zeros((5, 4, 6, 1), np.uint8), np.arange(5, dtype=np.int32)
    source = ArraySource("five", (), images, labels)
    assert source.image_shape == (4, 6, 1) and source[3]["label"] == 3
    assert load_into_memory(source)["image"] is images


def test_arrays_of_any_name_are_a_source():
    rows = {"spelling": np.arange(12, dtype=np.int32).reshape(4, 3), "weight": np.ones(4, np.float32)}
    source = Arrays("words", rows)
    assert len(source) == 4 and source.name == "words" and source[2]["weight"] == 1
    np.testing.assert_array_equal(source[2]["spelling"], [6, 7, 8])
    assert load_into_memory(source) == rows and load_into_memory(source)["spelling"] is rows["spelling"]
    parts = list(in_order(source, batch_size=3))
    for name, array in rows.items():
        np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), array)
        assert parts[0][name].dtype == array.dtype


def test_a_network_sees_all_but_label_and_index():
    assert model_inputs({"spelling": 1, "index": 2}) == 1
    assert model_inputs({"spelling": 1, "sounds": 2, "label": 3, "index": 4}) == {"spelling": 1, "sounds": 2}
