"""Readers of files from outside, on damaged and invented content: what is usable, or a sentence; nothing else, and soon.

The examples are the same in every run; SSL_JAX_FUZZ=10 tries ten times as many, and others each time.
"""

import io
import json
import os
import shutil
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from data.stored_files import deep_png, examples, shard, tiff, write_tar, write_tfrecord
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ssl_jax.commands.saved_run import make_again
from ssl_jax.data import open_data
from ssl_jax.data.drawn.synthetic import Synthetic
from ssl_jax.data.pixels import formats
from ssl_jax.data.pixels.formats import FORMATS, header
from ssl_jax.data.pixels.images import decode
from ssl_jax.data.skipping import Unreadable
from ssl_jax.errors import RunError, UsageError
from ssl_jax.recipes import Recipe
from ssl_jax.recipes.clusterfit import load_features
from ssl_jax.report import write_report
from ssl_jax.report.copying import SCRIPT
from ssl_jax.report.reading import LAYOUT
from ssl_jax.runs import read_metrics, read_request, read_results, truncate_metrics
from ssl_jax.train.checkpoint import Checkpoints
from ssl_jax.train.state import TrainState

Damage = Callable[[bytes], bytes]
NASTY = "<script>\x00\ud800'\"&"


def bounded(count: int) -> settings:
    factor = int(os.environ.get("SSL_JAX_FUZZ", 1))
    return settings(max_examples=factor * count, derandomize=factor == 1, deadline=None, database=None)


@st.composite
def damages(draw: st.DrawFn) -> Damage:
    """Up to six changes: bytes replaced, removed, doubled or inserted, the end cut off."""
    steps = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["replace", "insert", "remove", "double", "cut"]),
                st.floats(0, 1, exclude_max=True),  # Where, as a share of the length.
                st.one_of(
                    st.binary(min_size=1, max_size=4),
                    st.sampled_from([b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\x7f", b"9" * 40]),
                ),
            ),
            min_size=1,
            max_size=6,
        )
    )

    def damage(content: bytes) -> bytes:
        for kind, place, new in steps:
            at = int(place * len(content))
            if kind == "cut":
                content = content[:at]
            elif kind == "double":
                content = content[:at] + content[at : at + 64] + content[at:]
            else:
                skipped = {"replace": len(new), "insert": 0, "remove": 8}[kind]
                content = content[:at] + (b"" if kind == "remove" else new) + content[at + skipped :]
        return content

    return damage


VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=6),
        st.sampled_from([NASTY, 10**400, -1, 0, 1e308, "NaN", "9" * 5000]),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | st.just(NASTY), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@st.composite
def invented(draw: st.DrawFn, like: Any) -> Any:
    """A value of JSON as `like`, in which up to three parts, at any depth, are replaced, removed or added."""
    value = json.loads(json.dumps(like))
    for _ in range(draw(st.integers(1, 3))):
        inside, key = [value], 0
        while isinstance(inside[key], dict | list) and inside[key] and draw(st.integers(0, 4)):
            inside = inside[key]
            key = draw(st.sampled_from(sorted(inside) if isinstance(inside, dict) else range(len(inside))))
        if isinstance(inside, dict) and draw(st.booleans()):
            inside[draw(st.sampled_from([NASTY, "step", key]))] = draw(VALUES)
        elif inside is not value:
            inside[key] = draw(VALUES)
    return value


def json_of(value: Any) -> bytes:
    return json.dumps(value).encode()


def samples() -> dict[str, bytes]:
    """A small image of each format, mode and compression that Pillow can write."""
    pixels = Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 10, 4), np.uint8), "RGBA")
    options = {
        "JPEG": [{}, {"progressive": True}],
        "TIFF": [{"compression": each} for each in (None, "tiff_lzw", "jpeg")],
    }
    found = {}
    for kind in set(FORMATS) & set(formats._openable()) & set(Image.SAVE):
        for mode in ("RGB", "RGBA", "L", "P", "I;16", "1"):
            image = pixels.convert("L").convert("I;16") if mode == "I;16" else pixels.convert("RGB").convert(mode)
            for number, chosen in enumerate(options.get(kind, [{}])):
                file = io.BytesIO()
                try:
                    image.save(file, kind, **chosen)
                except (OSError, ValueError, KeyError):  # The format has no such mode.
                    continue
                found[f"{kind} {mode} {number}"] = file.getvalue()
    deep = np.random.default_rng(1).integers(0, 2**16, (12, 10, 4)).astype(np.uint16)
    return found | {f"PNG deep {channels}": deep_png(deep[..., :channels]) for channels in (2, 3, 4)}


IMAGES = samples()


@bounded(300)
@given(st.sampled_from(sorted(IMAGES)), damages())
def test_the_reader_of_images(name, damage):
    content = damage(IMAGES[name])
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patched:
        warnings.simplefilter("ignore")  # Of Pillow, about damage.
        patched.setattr(formats, "LARGEST_PIXELS", 2**18)  # The same checks as of large images, in less time.
        header(io.BytesIO(content))
        try:
            image = decode(content, shape=(6, 7, 3))
        except Unreadable as reason:
            assert str(reason)
        else:
            assert image.shape == (6, 7, 3) and image.dtype == np.uint8


def test_the_samples_are_of_many_formats_and_can_be_read():
    assert len({name.split()[0] for name in IMAGES}) > 10 and len(IMAGES) > 30
    for content in IMAGES.values():
        assert decode(content, shape=(6, 7, 3)).shape == (6, 7, 3)


def deep(kind):
    """An array or a TIFF of five channels."""
    array, file = np.arange(6 * 7 * 5, dtype=np.uint16).reshape(6, 7, 5), io.BytesIO()
    np.save(file, array)
    return file.getvalue() if kind == "npy" else tiff(array, compression=8 if kind == "deflate" else 1)


ARRAYS = {kind: deep(kind) for kind in ("npy", "tiff", "deflate")}


@bounded(100)
@given(st.sampled_from(sorted(ARRAYS)), damages())
def test_the_reader_of_arrays(kind, damage):
    content = damage(ARRAYS[kind])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of Pillow, about damage.
        header(io.BytesIO(content))
        try:
            assert decode(content, shape=(6, 7, 5)).dtype == np.uint8
        except Unreadable as reason:
            assert str(reason)


STORES = {
    "x.tar": lambda path: write_tar(path, shard(range(3))),
    "x.tfrecord": lambda path: write_tfrecord(path, examples(range(3))),
}


@bounded(60)
@given(st.sampled_from(sorted(STORES)), damages())
def test_the_readers_of_archives_and_records(tmp_path_factory, name, damage):
    """Those of tables are tried in a process of their own: `tests/data/test_hostile_stores.py`."""
    path = tmp_path_factory.mktemp("store") / name
    STORES[name](path)
    path.write_bytes(damage(path.read_bytes()))
    try:
        source = open_data(str(path), image_size=4).train
        assert all(source[number]["image"].shape == (4, 4, 3) for number in range(len(source)))
    except UsageError as reason:
        assert str(reason)


REQUEST = {
    "method": "simclr", "recipe": "demo", "seed": 0, "arguments": {"data": "digits", "epochs": 2.0, "temperature": 0.2},
    "versions": {"jax": "1"}, "commit": None, "device": "cpu", "devices": 1, "encoder_parameters": 100,
}  # fmt: skip
FIELDS = {"accuracy": 0.5, "interval": [0.4, 0.6], "deviation": 0.1, "labels_per_class": 10}
DIAGNOSTICS = {"lidar": 3.0, "lidar_samples": [24, 3], "invariance": {"crop": 0.5}, "std": 0.9}
RESULTS = {
    "steps": 8, "images_per_second": 9.5, "seconds": 7.0, "chance": 0.1,
    "features": {
        source: {"knn": FIELDS, "linear": FIELDS, "few_labels": FIELDS, "diagnostics": DIAGNOSTICS}
        for source in ("pretrained", "untrained", "pixels")
    },
    "layers": {"layer1": {"pretrained": {"knn": FIELDS}}},
}  # fmt: skip
RECORDS = [{"step": 4, "loss": 1.0, "std": 0.9}, {"step": 8, "loss": 0.5, "knn": 0.4}]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return tmp_path_factory.mktemp("run")


def write_run(run, *, request=REQUEST, results=RESULTS, records=RECORDS):
    for path in run.iterdir():
        path.unlink()
    for name, content in {"run.json": request, "results.json": results}.items():
        (run / name).write_bytes(content if isinstance(content, bytes) else json_of(content))
    lines = records if isinstance(records, bytes) else b"\n".join(map(json_of, records))
    (run / "metrics.jsonl").write_bytes(lines)


def page_or_sentence(run) -> None:
    try:
        page = write_report(run).read_text(encoding="utf-8")
    except UsageError as reason:
        assert str(reason).startswith("run: ") and "\n" not in str(reason)
    else:
        assert page.count("<script") == page.count(f"<script>{SCRIPT}</script>") <= 1 and page.endswith("</html>")


@pytest.mark.slow
@bounded(120)
@given(st.one_of(invented(REQUEST), VALUES, damages().map(lambda damage: damage(json_of(REQUEST)))))
def test_the_readers_of_run_json(run, request):
    write_run(run, request=request)
    page_or_sentence(run)
    try:
        found = read_request(run)
        assert isinstance(found["arguments"], dict) and isinstance(found["method"], str)
        make_again(found)
    except UsageError as reason:
        assert str(reason)


def test_a_sound_run_json_is_a_recipe(run):
    write_run(run)
    assert isinstance(make_again(read_request(run)), partial) and Recipe


@bounded(120)
@given(st.one_of(invented(RESULTS), VALUES, damages().map(lambda damage: damage(json_of(RESULTS)))))
def test_the_readers_of_results_json(run, results):
    write_run(run, results=results)
    found = read_results(run)
    assert found is None or isinstance(found, dict)
    page_or_sentence(run)


@bounded(120)
@given(st.one_of(invented(RECORDS), damages().map(lambda damage: damage(b"\n".join(map(json_of, RECORDS))))))
def test_the_readers_of_metrics_jsonl(run, records):
    write_run(run, records=records if isinstance(records, bytes | list) else [records])
    found = read_metrics(run)
    assert all(type(record["step"]) is int for record in found)
    page_or_sentence(run)
    truncate_metrics(run, 4)
    assert json.dumps(read_metrics(run)) == json.dumps([record for record in found if record["step"] <= 4])


SHAPES = st.lists(st.integers(0, 5), max_size=5).map(tuple)
TYPES = st.sampled_from(["u1", "i4", "u8", "f2", "f8", "c8", "U3", "S3", "?", "M8[s]"])


@bounded(60)
@given(st.dictionaries(st.sampled_from(sorted(LAYOUT)), st.tuples(SHAPES, TYPES, st.integers(0, 255)), max_size=8))
def test_pictures_of_any_shape(run, arrays):
    write_run(run)
    np.savez(
        run / "pictures.npz",
        **{name: np.full(shape, value).astype(kind) for name, (shape, kind, value) in arrays.items()},
    )
    page_or_sentence(run)


@bounded(60)
@given(damages())
def test_a_damaged_archive_of_pictures(run, damage):
    write_run(run)
    file = io.BytesIO()
    np.savez_compressed(file, views=np.zeros((2, 2, 4, 4, 3), np.uint8), class_names=np.array(["a", "b"]))
    (run / "pictures.npz").write_bytes(damage(file.getvalue()))
    page_or_sentence(run)


HEADERS = st.builds(
    "{{'descr': {!r}, 'fortran_order': {}, 'shape': {}, }}".format,
    st.sampled_from(["<f4", "|u1", "<f8", ">i8", "O", "V8", "<U4", "", ["<f4"], [("a", "<f4")]]),
    st.sampled_from([False, True, None]),
    st.one_of(
        st.lists(st.integers(-2, 2**63), max_size=3).map(tuple), st.sampled_from(["(3", "3", "[" * 300, "(1e9,)"])
    ),
)


@bounded(250)
@given(st.one_of(damages(), HEADERS))
def test_the_reader_of_features(run, damage):
    path = run / "x.npy"
    np.save(path, np.ones((3, 2), np.float32))
    if isinstance(damage, str):
        text = damage.encode().ljust(117) + b"\n"
        path.write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(24))
    else:
        path.write_bytes(damage(path.read_bytes()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of numpy, about sizes that overflow.
        try:
            features = load_features(str(path), Synthetic(size=3, side=4, seed=0))
        except UsageError as reason:
            assert str(reason).startswith("features: ")
        else:
            assert features.shape[0] == 3 and features.nbytes < 10_000


def state_of(step: int) -> TrainState:
    return TrainState(jnp.int32(step), {"kernel": jnp.full((2, 3), step)}, {}, jax.random.key(0))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A checkpoint, a place to damage a copy of it, and the content of its files of JSON by name."""
    folder, copy = tmp_path_factory.mktemp("saved"), tmp_path_factory.mktemp("copy") / "copy"
    with Checkpoints(folder) as checkpoints:
        checkpoints.save(state_of(4), input_state={"step": 4}, score=0.5)
    described = {}
    for path in sorted(path for path in (folder / "4").rglob("*") if path.is_file()):
        try:
            described[path.relative_to(folder).as_posix()] = json.loads(path.read_bytes())
        except ValueError:  # The arrays.
            pass
    assert {"4/_CHECKPOINT_METADATA", "4/manifest/metadata", "4/state/_METADATA"} <= described.keys()
    return folder, copy, described


@pytest.mark.slow
@bounded(20)
@given(st.data())
def test_the_descriptions_of_a_checkpoint(saved, data):
    folder, copy, described = saved
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy)
    name = data.draw(st.sampled_from(sorted(described)))
    (copy / name).write_bytes(json_of(data.draw(st.one_of(invented(described[name]), VALUES))))
    like = jax.eval_shape(partial(state_of, 4))
    try:
        with Checkpoints(copy) as checkpoints:
            found = checkpoints.restore(like)
    except RunError as reason:
        assert str(reason).startswith("run: ")
    else:
        if found is not None:
            assert (found.state.params["kernel"] == 4).all() and found.input_state == {"step": 4}
