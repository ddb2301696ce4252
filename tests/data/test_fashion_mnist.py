"""Fashion-MNIST from IDX files, written here by hand."""

import gzip
import struct

import numpy as np
import pytest

from ssl_jax.data.named.fashion_mnist import open_fashion_mnist, read_idx
from ssl_jax.errors import UsageError

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 28, 28), np.uint8)


def write_idx(file, array):
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    file.write_bytes(gzip.compress(header + array.tobytes()))


@pytest.fixture
def folder(tmp_path):
    for name, count in {"train": 6, "t10k": 3}.items():
        write_idx(tmp_path / f"{name}-images-idx3-ubyte.gz", IMAGES[:count])
        write_idx(tmp_path / f"{name}-labels-idx1-ubyte.gz", np.arange(count, dtype=np.uint8))
    return tmp_path


def test_both_parts_are_read(folder):
    data = open_fashion_mnist(folder)
    assert (len(data.train), len(data.test), len(data.train.classes)) == (6, 3, 10)
    example = data.train[4]
    np.testing.assert_array_equal(example["image"][..., 0], IMAGES[4])
    assert example["label"] == 4 and example["label"].dtype == np.int32


def test_images_are_resized_on_request(folder):
    assert open_fashion_mnist(folder, image_size=32).train.images.shape == (6, 32, 32, 1)
    np.testing.assert_array_equal(open_fashion_mnist(folder, image_size=28).test.images[..., 0], IMAGES[:3])


def test_missing_and_damaged_files_are_named(folder):
    with pytest.raises(UsageError) as refused:
        read_idx(folder / "nowhere.gz")
    assert str(refused.value) == (
        f"data: {folder / 'nowhere.gz'} does not exist: run `apt-get install dataset-fashion-mnist`, "
        "or use fashion_mnist from tfds."
    )
    whole = (folder / "train-images-idx3-ubyte.gz").read_bytes()
    for damaged in (whole[:500], b"no gzip", gzip.compress(b"\0\0"), gzip.compress(b"\0\0\x08\x01\0\0\0\x05abc")):
        (folder / "damaged.gz").write_bytes(damaged)
        with pytest.raises(UsageError, match=r"damaged\.gz is damaged \(.*--reinstall dataset-fashion-mnist`\.$"):
            read_idx(folder / "damaged.gz")
