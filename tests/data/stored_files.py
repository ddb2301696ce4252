"""Files of every kind that holds images, written without the libraries that usually write them."""

import io
import itertools
import json
import struct
import tarfile
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from array_record.python.array_record_module import ArrayRecordWriter
from PIL import Image

from ssl_jax.data.stored.tf_records import masked_crc

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
NAMES = {
    "info": {"features": {"image": {"_type": "Image"}, "label": {"names": ["dark", "light"], "_type": "ClassLabel"}}}
}
SCHEMA = pa.schema([("image", IMAGE), ("label", pa.int64())], metadata={"huggingface": json.dumps(NAMES)})


def png(value):
    """An image of one value."""
    file = io.BytesIO()
    Image.fromarray(np.full((6, 8, 3), value, np.uint8)).save(file, "PNG")
    return file.getvalue()


def rows(numbers, schema=SCHEMA, **columns):
    """Image i has all pixels i and the label i % 2."""
    images = [{"bytes": png(number), "path": f"../{number}.png"} for number in numbers]
    return pa.table({"image": images, "label": [number % 2 for number in numbers]} | columns, schema=schema)


def write_parquet(path, table, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, **({"row_group_size": 4} | options))


def write_arrow(path, table, *, new=pa.ipc.new_stream):
    path.parent.mkdir(parents=True, exist_ok=True)
    with pa.OSFile(str(path), "wb") as file, new(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=3)


def write_tar(path, members):
    """members: name -> bytes, or a `tarfile.TarInfo` of what is no file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            about = tarfile.TarInfo(name)
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))


def shard(numbers):
    return {
        name: content
        for number in numbers
        for name, content in ((f"{number:03}.png", png(number)), (f"{number:03}.cls", str(number % 2).encode()))
    }


def varint(value):
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    return bytes([*made, value])


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def example(features):
    """A `tf.train.Example` of bytes, integers, and lists of floating-point numbers."""
    made = b""
    for name, value in features.items():
        if isinstance(value, bytes):
            feature = field(1, field(1, value))
        elif isinstance(value, int):
            feature = field(3, field(1, varint(value % 2**64)))
        else:
            feature = field(2, field(1, struct.pack(f"<{len(value)}f", *value)))
        made += field(1, field(1, name.encode()) + field(2, feature))
    return field(1, made)


def examples(numbers, image="image/encoded", label="image/class/label"):
    return [example({image: png(number), label: number % 2, "box": [0.5, 1.0], "name": b"x"}) for number in numbers]


def frame(content):
    length = struct.pack("<Q", len(content))
    return length + struct.pack("<I", masked_crc(length)) + content + struct.pack("<I", masked_crc(content))


def write_tfrecord(path, records):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(map(frame, records)))


def write_array_record(path, records):
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = ArrayRecordWriter(str(path), "group_size:1")
    for record in records:
        writer.write(record)
    writer.close()


def lzw(plain):
    """The strip of a TIFF that Pillow compresses."""
    file = io.BytesIO()
    Image.frombytes("L", (len(plain), 1), plain).save(file, "TIFF", compression="tiff_lzw")
    content = file.getvalue()
    with Image.open(io.BytesIO(content)) as image:
        (start,), (size,) = image.tag_v2[273], image.tag_v2[279]
    return content[start : start + size]


PACKED = {1: bytes, 5: lzw, 8: zlib.compress}


def tiff(array, *, order="<", compression=1, planes=False, side=None, rows=4, predictor=1, big=False, extra=None):
    """A TIFF of an array `[H, W, C]`, in strips of `rows`, or in tiles of `side`; or a BigTIFF."""
    height, width, channels = array.shape
    down, across = (side, side) if side else (rows, width)
    parts = []
    for plane in range(channels) if planes else [slice(None)]:
        for top, left in itertools.product(range(0, height, down), range(0, width, across)):
            part = array[top : top + down, left : left + across, plane].reshape(
                -1, min(across, width - left), 1 if planes else channels
            )
            if side:
                part = np.pad(part, ((0, side - len(part)), (0, side - part.shape[1]), (0, 0)))
            if predictor == 2:
                part = np.diff(part, axis=1, prepend=np.zeros_like(part[:, :1]))
            parts.append(PACKED[compression](part.astype(part.dtype.newbyteorder(order)).tobytes()))
    bits = array.dtype.itemsize * 8
    entries = {
        256: [width], 257: [height], 258: [bits] * channels, 259: [compression], 262: [1], 277: [channels],
        284: [2 if planes else 1], 317: [predictor], 339: [{"u": 1, "i": 2, "f": 3}[array.dtype.kind]] * channels,
    }  # fmt: skip
    entries |= {322: [side], 323: [side]} if side else {278: [rows]}
    offsets, counts = (324, 325) if side else (273, 279)
    entries |= {counts: list(map(len, parts)), offsets: [0] * len(parts)} | (extra or {})
    kind, begin, count = (16, 16, "Q") if big else (4, 8, "H")  # Of an offset; where the directory begins.
    offset = "Q" if big else "I"
    size = struct.calcsize(f"<{offset}")
    start, where = begin + struct.calcsize(f"<{count}") + (4 + 2 * size) * len(entries) + size, {}
    for tag in sorted(entries):
        where[tag], start = start, start + size * len(entries[tag])
    entries[offsets] = [start + sum(map(len, parts[:number])) for number in range(len(parts))]
    directory, values = struct.pack(order + count, len(entries)), b""
    for tag in sorted(entries):
        packed = struct.pack(f"{order}{len(entries[tag])}{offset}", *entries[tag])
        directory += struct.pack(f"{order}HH{offset}", tag, kind, len(entries[tag]))
        directory += packed if len(packed) == size else struct.pack(order + offset, where[tag])
        values += packed
    version = struct.pack(f"{order}HHHQ", 43, 8, 0, begin) if big else struct.pack(f"{order}HI", 42, begin)
    return {"<": b"II", ">": b"MM"}[order] + version + directory + bytes(size) + values + b"".join(parts)


COLOR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # Channels -> type of colour in the header.


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def deep_png(pixels, *, filters=(0, 1, 2, 3, 4), more=b""):
    """uint16 `[H, W, C]` as a PNG whose rows have these filters in turn, after the definition in the PNG specification."""
    height, width, channels = pixels.shape
    rows = pixels.astype(">u2").tobytes()
    wide, step = 2 * channels * width, 2 * channels
    before, lines = bytes(wide), []
    for number in range(height):
        row, kind = rows[number * wide : (number + 1) * wide], filters[number % len(filters)]
        left, corner = bytes(step) + row[:-step], bytes(step) + before[:-step]
        guesses = (bytes(wide), left, before, [(a + b) // 2 for a, b in zip(left, before, strict=True)],
                   [paeth(*near) for near in zip(left, before, corner, strict=True)])  # fmt: skip
        lines.append(bytes([kind, *((value - guess) % 256 for value, guess in zip(row, guesses[kind], strict=True))]))
        before = row
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, COLOR_TYPES[channels], 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + more + chunk(b"IDAT", zlib.compress(b"".join(lines))) + chunk(b"IEND", b"")


def paeth(a, b, c):
    distances = [abs(a + b - c - each) for each in (a, b, c)]
    return (a, b, c)[distances.index(min(distances))]
