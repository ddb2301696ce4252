"""TIFF images of several channels, or of more than 8 bits in colour, which Pillow does not read, or only in part.

The directory of the first page is read here. Strips and tiles are decompressed by Pillow's libtiff, which takes each of them
as a gray image of as many bytes. Not read: bits that are no whole bytes, JPEG, and other layouts that Pillow knows itself.

Sources: TIFF 6.0, https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf; of BigTIFF, whose offsets have 64 bits,
https://www.awaresystems.be/imaging/tiff/bigtiff.html.
"""

import io
import itertools
import math
import struct
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ssl_jax.data.skipping import Unreadable

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
STRIP_OFFSETS, SAMPLES, ROWS, STRIP_COUNTS, PLANES, PREDICTOR = 273, 277, 278, 279, 284, 317
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS, EXTRA, FORMAT = 322, 323, 324, 325, 338, 339
TYPES = {1: "B", 3: "H", 4: "I", 16: "Q"}  # Of the entries that matter: bytes, and integers of 16, 32 and 64 bits.
NONE = 1
COMPRESSIONS = (NONE, 5, 8, 32773, 32946, 50000)  # Plain, LZW, Deflate, PackBits, Deflate, Zstandard.
GRAY, COLOR = (0, 1), 2
ASSOCIATED, UNASSOCIATED = 1, 2  # Kinds of transparency.
HORIZONTAL = 2
READ = (
    WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, STRIP_OFFSETS, SAMPLES, ROWS, STRIP_COUNTS, PLANES, PREDICTOR,
    TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS, EXTRA, FORMAT,
)  # fmt: skip
MOST_ENTRIES = 2**16
MOST_PARTS = 2**18
MOST_DECODED = 2**29  # Bytes of all parts, which may reach beyond the image.


class Form(NamedTuple):
    """How a directory is written.

    order: of bytes. first: where the offset of the first directory is. offset, number, entry: types, of `struct`, of an offset,
    of the number of entries, and of an entry up to its value.
    """

    order: Literal["<", ">"]
    first: int
    offset: str
    number: str
    entry: str


PLAIN, BIG = (4, "I", "H", "HHI"), (8, "Q", "Q", "HHQ")  # BigTIFF.
FORMS = {
    b"II*\0": Form("<", *PLAIN), b"MM\0*": Form(">", *PLAIN), b"II+\0": Form("<", *BIG), b"MM\0+": Form(">", *BIG)
}  # fmt: skip


class Tiff(NamedTuple):
    """The first page of a file. tags: their values."""

    encoded: bytes
    tags: dict[int, tuple[int, ...]]
    order: Literal["<", ">"]
    dtype: np.dtype

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.one(HEIGHT), self.one(WIDTH), self.one(SAMPLES, 1)

    def one(self, tag: int, default: int = 0) -> int:
        return (self.tags.get(tag) or (default,))[0]

    def read(self) -> NDArray:
        """The pixels `[H, W, C]`; `Unreadable` where parts are missing or damaged."""
        height, width, channels = self.shape
        pixels, planes = np.zeros(self.shape, self.dtype), self.one(PLANES, 1) == 2
        tiles = TILE_OFFSETS in self.tags
        across, down = (self.one(TILE_WIDTH), self.one(TILE_HEIGHT)) if tiles else (width, self.one(ROWS, height))
        down = down if tiles else min(down, height)
        if not (1 <= across <= 2**16 and 1 <= down <= 2**16):
            raise Unreadable(f"parts of {across}x{down} pixels")
        depth, rounds = (1, channels) if planes else (channels, 1)
        expected = rounds * math.ceil(height / down) * math.ceil(width / across)
        parts = self._parts(*((TILE_OFFSETS, TILE_COUNTS) if tiles else (STRIP_OFFSETS, STRIP_COUNTS)))
        if len(parts) != expected:
            raise Unreadable(f"{len(parts)} parts, expected {expected}")
        if expected * down * across * depth * self.dtype.itemsize > MOST_DECODED:
            raise Unreadable(f"{expected} parts of {across}x{down} pixels")
        corners = itertools.product(range(rounds), range(0, height, down), range(0, width, across))
        for (plane, top, left), (start, size) in zip(corners, parts, strict=True):
            if size:  # GDAL leaves out parts that are black.
                rows = down if tiles else min(down, height - top)
                part = self._decoded(self.encoded[start : start + size], rows, across, depth)
                where = slice(plane, plane + 1) if planes else slice(None)
                pixels[top : top + down, left : left + across, where] = part[: height - top, : width - left]
        return pixels

    def _parts(self, offsets: int, counts: int) -> list[tuple[int, int]]:
        """Where the parts begin, and their sizes in bytes."""
        parts = list(zip(self.tags.get(offsets, ()), self.tags.get(counts, ()), strict=False))
        within = all(start + size <= len(self.encoded) for start, size in parts)
        if not within or sum(size for _, size in parts) > len(self.encoded):
            raise Unreadable("image file is truncated")
        return parts

    def _decoded(self, content: bytes, rows: int, across: int, depth: int) -> NDArray:
        """A strip or a tile `[rows, across, depth]`."""
        kind = self.dtype.newbyteorder(self.order)
        width = across * depth * kind.itemsize
        plain = content if self.one(COMPRESSION, NONE) == NONE else self._decompressed(content, rows, width)
        if len(plain) < width * rows:
            raise Unreadable("image file is truncated")
        part = np.frombuffer(plain, kind, rows * across * depth).reshape(rows, across, depth).astype(self.dtype)
        if self.one(PREDICTOR, 1) == HORIZONTAL:
            part = np.add.accumulate(part, axis=1, dtype=self.dtype)
        return part

    def _decompressed(self, content: bytes, rows: int, width: int) -> bytes:
        entries = {
            WIDTH: width, HEIGHT: rows, BITS: 8, COMPRESSION: self.one(COMPRESSION), PHOTOMETRIC: 1,
            STRIP_OFFSETS: 0, SAMPLES: 1, ROWS: rows, STRIP_COUNTS: len(content),
        }  # fmt: skip
        entries[STRIP_OFFSETS] = 8 + 2 + 12 * len(entries) + 4
        directory = b"".join(struct.pack(self.order + "HHII", tag, 4, 1, value) for tag, value in entries.items())
        start = {"<": b"II*\0", ">": b"MM\0*"}[self.order] + struct.pack(self.order + "IH", 8, len(entries))
        try:
            with Image.open(io.BytesIO(start + directory + bytes(4) + content), formats=("TIFF",)) as image:
                return image.tobytes()
        except MemoryError:
            raise
        except Exception as fault:  # Pillow's decoders raise many types on damaged bytes.
            raise Unreadable(str(fault) or type(fault).__name__) from fault


def tiff_of(encoded: bytes) -> Tiff | None:
    """The first page of a TIFF that is to be read here; None for other files, and for those that Pillow reads in full."""
    form = FORMS.get(encoded[:4])
    if form is None:
        return None
    tags = _tags(encoded, form)
    samples, bits = (tags.get(SAMPLES) or (1,))[0], set(tags.get(BITS, ()))
    kinds, photometric = set(tags.get(FORMAT, (1,))), (tags.get(PHOTOMETRIC) or (0,))[0]
    alpha = set(tags.get(EXTRA, ())) & {ASSOCIATED, UNASSOCIATED}
    plain = (bits == {8} and samples == 3) or (
        alpha and samples in (2, 4)
    )  # Pillow drops 8 of 16 bits beside transparency.
    if samples < 2 or plain or photometric not in (*GRAY, COLOR) or len(bits) != 1 or len(kinds) != 1:
        return None
    (size,), (kind,) = bits, kinds
    letter = {1: "u", 2: "i", 3: "f"}.get(kind)
    known = letter and size in ((8, 16, 32) if letter != "f" else (16, 32, 64))
    predictor = (tags.get(PREDICTOR) or (1,))[0]
    if (
        not known
        or (tags.get(COMPRESSION) or (1,))[0] not in COMPRESSIONS
        or predictor not in (1, HORIZONTAL)[: 1 if letter == "f" else 2]
    ):
        return None
    return Tiff(encoded, tags, form.order, np.dtype(f"{letter}{size // 8}"))


def _tags(encoded: bytes, form: Form) -> dict[int, tuple[int, ...]]:
    """The integers of the first directory, as far as they lie within the file."""
    found: dict[int, tuple[int, ...]] = {}
    offset, counted, head = (struct.Struct(form.order + kind) for kind in (form.offset, form.number, form.entry))
    try:
        (start,) = offset.unpack_from(encoded, form.first)
        (count,) = counted.unpack_from(encoded, start)
        for entry in range(min(count, MOST_ENTRIES)):
            at = start + counted.size + entry * (head.size + offset.size)
            tag, kind, number = head.unpack_from(encoded, at)
            if tag in READ and kind in TYPES and 0 < number <= MOST_PARTS:
                place = at + head.size
                if number * struct.calcsize(f"<{TYPES[kind]}") > offset.size:
                    (place,) = offset.unpack_from(encoded, place)
                found[tag] = struct.unpack_from(f"{form.order}{number}{TYPES[kind]}", encoded, place)
    except (struct.error, OverflowError):  # Beyond the end: what has been read may do.
        pass
    return found
