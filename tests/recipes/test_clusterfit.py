"""The file of features that ClusterFit takes."""

import warnings

import numpy as np
import pytest

from ssl_jax.data.drawn.synthetic import Synthetic
from ssl_jax.errors import UsageError
from ssl_jax.methods.clusterfit import cluster
from ssl_jax.recipes.clusterfit import load_features

SOURCE = Synthetic(size=6, side=4, seed=0)


def test_a_row_for_each_image(tmp_path):
    rows = np.arange(12, dtype=np.float32).reshape(6, 2)
    np.save(tmp_path / "x.npy", rows)
    assert (load_features(str(tmp_path / "x.npy"), SOURCE) == rows).all()


@pytest.mark.parametrize("content", [b"", b"text", b"\x93NUMPY", b"PK\x03\x04", b"\x93NUMPY\x01\x00\x02\x00{}"])
def test_files_that_hold_no_array(tmp_path, content):
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(UsageError, match=r"features: .* is no \.npy file of numbers: make it with `ssl-jax embed`"):
        load_features(str(tmp_path / "x.npy"), SOURCE)


@pytest.mark.parametrize("shape", ["(250000000000,)", "(6, 40000000000)", "(-1, 6)", "(9223372036854775807, 4)", "(3"])
def test_a_header_that_claims_more_than_the_file_holds_takes_no_memory(tmp_path, shape):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY\x01\x00v\x00" + header.encode())
    with warnings.catch_warnings(), pytest.raises(UsageError, match=r"is no \.npy file of numbers"):
        warnings.simplefilter("ignore")  # Of numpy, about a size that overflows.
        load_features(str(tmp_path / "x.npy"), SOURCE)


@pytest.mark.parametrize(
    "array", [np.array(["a"] * 6), np.ones((6, 2), np.complex64), np.ones((6, 2), bool), np.array([None] * 6)]
)
def test_arrays_of_other_types(tmp_path, array):
    np.save(tmp_path / "x.npy", array, allow_pickle=True)
    with pytest.raises(UsageError, match=r"is no \.npy file of numbers"):
        load_features(str(tmp_path / "x.npy"), SOURCE)


def test_several_arrays_in_one_file(tmp_path):
    np.savez(tmp_path / "x.npz", np.ones((6, 2)))
    with pytest.raises(UsageError, match=r"is no \.npy file of numbers"):
        load_features(str(tmp_path / "x.npz"), SOURCE)


@pytest.mark.parametrize("shape", [(), (6,), (5, 2), (6, 2, 1)])
def test_arrays_of_other_shapes(tmp_path, shape):
    np.save(tmp_path / "x.npy", np.ones(shape))
    with pytest.raises(UsageError, match="expected a row for each of the 6 images"):
        load_features(str(tmp_path / "x.npy"), SOURCE)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_finite_are_refused(value):
    features = np.ones((6, 2), np.float32)
    features[[3, 5], 1] = value
    with pytest.raises(
        UsageError, match=r"^features: 2 of 6 rows are not finite, the first is that of image 3: remove "
    ):
        cluster(features, 2)
