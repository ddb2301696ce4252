"""What TensorBoard reads in the folder of a run."""

import io

import numpy as np
from PIL import Image
from tensorboardX.proto.event_pb2 import Event


def values(run):
    """(step, value) of all events in the folder, in order of its files."""
    return [
        (event.step, value)
        for file in sorted(run.glob("events.out.tfevents.*"))
        for event in records(file)
        for value in event.summary.value
    ]


def pictures(run, tag):
    """The images of this name by step, uint8 [H, W, 3]."""
    return {step: pixels(value) for step, value in values(run) if value.tag == tag}


def records(file):
    """The events of a file: each a length of 8 bytes, a checksum of 4, the event, a checksum of 4."""
    content = file.read_bytes()
    while content:
        length = int.from_bytes(content[:8], "little")
        yield Event.FromString(content[12 : 12 + length])
        content = content[16 + length :]


def pixels(value):
    return np.asarray(Image.open(io.BytesIO(value.image.encoded_image_string)))
