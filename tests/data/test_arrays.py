"""Pixels as they come: turned, deep, floating-point, and of any number of channels."""

import io

import numpy as np
import pytest
from data.stored_files import tiff
from PIL import Image

from ssl_jax.data import open_data
from ssl_jax.data.pixels.arrays import read_array
from ssl_jax.data.pixels.depth import Levels, levels_of, stated_levels
from ssl_jax.data.pixels.formats import Header, header
from ssl_jax.data.pixels.images import central_part, decode
from ssl_jax.data.skipping import Unreadable
from ssl_jax.data.statistics import measured_statistics
from ssl_jax.errors import UsageError

RANDOM = np.random.default_rng(0)
DEEP = RANDOM.integers(0, 4096, (9, 7, 5)).astype(np.uint16)


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


LAYOUTS = [
    {}, {"order": ">"}, {"compression": 5}, {"compression": 8, "predictor": 2}, {"planes": True}, {"side": 4},
    {"side": 4, "planes": True, "compression": 8, "order": ">"}, {"rows": 1}, {"rows": 100, "compression": 5, "predictor": 2},
    {"big": True}, {"big": True, "order": ">", "side": 4, "compression": 8},
]  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
def test_a_tiff_of_five_channels_is_its_pixels(layout, dtype):
    if np.dtype(dtype).kind == "f" and layout.get("predictor") == 2:
        return
    array = (DEEP % 251).astype(dtype)
    encoded = tiff(array, **layout)
    np.testing.assert_array_equal(read_array(encoded), array)
    assert header(io.BytesIO(encoded)) == Header((7, 9), 5, deep=dtype != np.uint8)


def test_what_pillow_reads_in_full_is_left_to_it():
    for mode in ("L", "RGB", "RGBA", "CMYK", "P", "1", "F", "I;16"):
        file = io.BytesIO()
        Image.new(mode, (4, 4)).save(file, "TIFF")
        assert read_array(file.getvalue()) is None
    assert read_array(b"II*\0") is None and read_array(b"") is None


def test_colour_of_12_bits_in_a_tiff_keeps_them():
    encoded = tiff(DEEP[..., :3], extra={262: [2]})
    made = decode(encoded, shape=(9, 7, 3), levels=Levels(0, 4095))
    np.testing.assert_allclose(made, DEEP[..., :3] * (255 / 4095), atol=0.51)
    grey = decode(encoded, shape=(9, 7, 1), levels=Levels(0, 4095))
    assert grey.shape == (9, 7, 1)


@pytest.mark.parametrize(
    "array, shape",
    [
        (DEEP, (9, 7, 5)),
        (np.moveaxis(DEEP, -1, 0), (9, 7, 5)),
        (np.asfortranarray(DEEP), (9, 7, 5)),
        (DEEP[..., 0], (9, 7, 1)),
        (DEEP[..., :2].astype(">u2"), (9, 7, 2)),
        (DEEP[..., :1] > 2000, (9, 7, 1)),
    ],
)
def test_arrays_are_images_with_the_channels_last_or_first(array, shape):
    encoded = npy(array)
    made = decode(encoded, shape=shape, levels=Levels(0, 4095))
    expected = DEEP[..., : shape[-1]] * (255 / 4095) if array.dtype != bool else (DEEP[..., :1] > 2000) * 255
    np.testing.assert_allclose(made, expected, atol=0.51)
    assert header(io.BytesIO(encoded)).size == (7, 9)


def test_every_channel_is_resized_alike_and_the_first_three_are_shown():
    made = decode(npy(DEEP.astype(np.uint8)), shape=(4, 4, 5))
    for channel in range(5):
        np.testing.assert_array_equal(
            made[..., channel : channel + 1], decode(npy(DEEP[..., channel].astype(np.uint8)), shape=(4, 4, 1))
        )
    np.testing.assert_array_equal(central_part(npy(DEEP.astype(np.uint8)), most=4), made[..., :3])
    for shape, content, reason in (
        ((4, 4, 3), npy(DEEP), "5 channels, expected 3"),
        ((4, 4, 4), npy(DEEP), "5 channels, expected 4"),
        ((4, 4, 5), npy(DEEP[..., 0]), "1 channels, expected 5"),
    ):
        with pytest.raises(Unreadable, match=reason):
            decode(content, shape=shape)


@pytest.mark.parametrize(
    "pixels, levels",
    [
        ([0.2, 0.9], Levels(0, 1)),
        ([0.0, 1.5], Levels(0.0, 1.5)),
        ([-3.5, 900.0], Levels(-3.5, 900.0)),
        ([np.nan, 7.0, np.inf], Levels(7.0, 8.0)),
        ([np.nan], None),
    ],
)
def test_floating_point_pixels_have_a_measured_range(pixels, levels):
    assert levels_of([np.array([pixels], np.float32)]) == levels


def test_what_is_not_a_number_is_black_and_what_is_outside_is_clipped():
    array = np.array([[-1, 0, 0.5, 1, 2, np.nan, -np.inf, np.inf]], np.float32)
    np.testing.assert_array_equal(
        decode(npy(array), shape=(1, 8, 1), levels=Levels(0, 1))[0, :, 0], [0, 0, 128, 255, 255, 0, 0, 255]
    )
    file = io.BytesIO()
    Image.fromarray(array).save(file, "TIFF")
    np.testing.assert_array_equal(
        decode(file.getvalue(), shape=(1, 8, 1), levels=Levels(0, 1))[0, :, 0], [0, 0, 128, 255, 255, 0, 0, 255]
    )
    assert not decode(npy(np.full((2, 2), np.nan)), shape=(2, 2, 1)).any()
    assert decode(npy(np.array([[-1e308, 1e308]])), shape=(1, 2, 1)).shape == (1, 2, 1)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("shape", [(8, 12), (12, 8), (6, 6)])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_images_are_turned_as_exif_says(orientation, shape, kind):
    upright = Image.fromarray(
        np.kron(RANDOM.integers(0, 255, (2, 3, 3)).astype(np.uint8), np.ones((4, 4, 1), np.uint8))
    )
    turn = [None, 0, 3, 1, 5, 4, 6, 2][orientation - 1]  # What undoes EXIF's turn, as a `Image.Transpose`.
    turn = {6: 2, 8: 4}.get(orientation, turn) if orientation in (6, 8) else turn
    stored = upright if turn is None else upright.transpose(Image.Transpose(turn))
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    stored.save(file, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    plain = io.BytesIO()
    upright.save(plain, "PNG")
    expected = decode(plain.getvalue(), shape=(*shape, 3))
    np.testing.assert_allclose(decode(file.getvalue(), shape=(*shape, 3)), expected, atol=1)
    assert header(io.BytesIO(file.getvalue())).size == (12, 8)


def test_a_large_jpeg_is_decoded_near_the_size_it_has_when_turned():
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    Image.linear_gradient("L").resize((640, 320)).convert("RGB").save(file, "JPEG", exif=exif)
    made = decode(file.getvalue(), shape=(40, 20, 3))
    assert made[:, 0].mean() > made[:, -1].mean() + 100  # Black lay on top, and is turned to the right: left is bright.


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0garbage",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"",
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x63\0\0\0",
    ],
)
def test_a_damaged_orientation_is_upright(exif):
    file = io.BytesIO()
    Image.linear_gradient("L").save(file, "JPEG", exif=exif)
    assert decode(file.getvalue(), shape=(8, 8, 1))[0].mean() < 20


def folder(root, images, ending="npy"):
    for number, content in enumerate(images):
        path = root / "ab"[number % 2] / f"{number}.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return str(root)


def test_a_folder_of_arrays_has_their_channels_and_a_stated_or_measured_range(tmp_path):
    name = folder(tmp_path / "deep", [npy(DEEP + 100 * number) for number in range(10)])
    data = open_data(name, image_size=6)
    assert data.train.image_shape == (6, 6, 5) and data.classes == ("a", "b") and data.train.levels == Levels(0, 16383)
    assert open_data(name, image_size=6, channels=3).train.image_shape == (6, 6, 5)
    stated = open_data(f"{name},range=0:4095", image_size=6)
    assert stated.train.levels == Levels(0, 4095) and stated.test[0]["image"].max() > data.test[0]["image"].max()
    mean, std = measured_statistics(stated.train)
    assert len(mean) == len(std) == 5 and all(0.5 < value < 0.7 for value in mean)


def test_a_range_of_8_bits_has_no_meaning(tmp_path):
    name = folder(tmp_path / "plain", [npy(DEEP.astype(np.uint8))] * 4)
    with pytest.raises(UsageError, match="pixels of 8 bits, so that range=0:255 has no meaning: leave range out"):
        open_data(f"{name},range=0:255", image_size=6)


@pytest.mark.parametrize("text", ["", "5", "a:b", "5:5", "9:1", "nan:1", "0:inf", "1:2:3"])
def test_a_range_is_two_numbers(text, tmp_path):
    with pytest.raises(UsageError, match="range"):
        open_data(f"{tmp_path},range={text}")
    if text:
        with pytest.raises(UsageError, match="such as range=0:4095"):
            stated_levels(text)


def test_images_of_several_numbers_of_channels_are_refused(tmp_path):
    name = folder(tmp_path / "mixed", [npy(DEEP), npy(DEEP[..., :4])])
    with pytest.raises(UsageError, match="have 4 and 5 channels"):
        open_data(name, image_size=6)


def test_arrays_beside_photographs_are_none(tmp_path, capsys):
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG")
    folder(tmp_path, [file.getvalue()] * 2, "png")
    (tmp_path / "features.npy").write_bytes(npy(np.ones((9, 9))))
    assert open_data(str(tmp_path), image_size=6).classes == ("a", "b") and "1 .npy" in capsys.readouterr().err


def test_transparency_is_said_once(tmp_path, capsys):
    file = io.BytesIO()
    Image.new("RGBA", (8, 8)).save(file, "PNG")
    open_data(folder(tmp_path, [file.getvalue()] * 4, "png"), image_size=6)
    assert capsys.readouterr().err.count("images with transparency: what is transparent becomes white") == 1


HOSTILE = {
    "terabytes": npy(np.zeros((1, 1, 3), np.uint16)).replace(b"(1, 1, 3), }        ", b"(1048576, 1048576, 3)}", 1),
    "objects": npy(np.array([[1, None]], object)),
    "structures": npy(np.zeros((4, 4), [("a", "u1")])),
    "texts": npy(np.array([["a", "b"]])),
    "a list": npy(np.arange(9)),
    "four axes": npy(np.zeros((2, 4, 4, 3))),
    "nothing": npy(np.zeros((0, 4, 3))),
    "a header of 2 GB": b"\x93NUMPY\x02\x00\xff\xff\xff\x7f{}",
    "code": b"\x93NUMPY\x01\x00\x76\x00" + b"__import__('os').abort()".ljust(117) + b"\n",
    "nested": b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65_535,
    "half": npy(DEEP)[:200],
    "a version": b"\x93NUMPY\x09\x00",
    "a long side": npy(np.zeros((70_000, 2), np.uint8)),
    "half a TIFF": tiff(DEEP)[:-50],
    "a damaged TIFF": tiff(DEEP, compression=8)[:-40] + bytes(40),
    "too few parts": tiff(DEEP, rows=4, extra={257: [4000]}),
    "a huge TIFF": tiff(DEEP, extra={256: [2**31], 257: [2**31]}),
    "huge tiles": tiff(DEEP, side=4, extra={322: [2**31], 323: [2**31]}),
    "tiles of nothing": tiff(DEEP, side=4, extra={322: [0], 323: [0]}),
    "large tiles": tiff(DEEP, planes=True, side=4, extra={322: [2**16], 323: [2**16], 256: [1], 257: [1]}),
    "parts in one place": tiff(DEEP, rows=1, extra={279: [300] * 9}),
    "a million channels": tiff(DEEP, extra={277: [2**20]}),
    "a directory far away": b"II*\0\xff\xff\xff\xff",
    "a directory without end": b"II*\0\x08\0\0\0\xff\xff" + bytes(100),
    "a big directory far away": b"II+\0\x08\0\0\0" + b"\xff" * 8,
    "a big directory without end": b"II+\0\x08\0\0\0\x10" + bytes(7) + b"\xff" * 8 + bytes(100),
    "half a BigTIFF": tiff(DEEP, big=True)[:-50],
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_claims_too_much_is_unreadable(name):
    header(io.BytesIO(HOSTILE[name]))
    for channels in (1, 5):
        with pytest.raises(Unreadable) as refused:
            decode(HOSTILE[name], shape=(4, 4, channels))
        assert len(str(refused.value)) < 200
