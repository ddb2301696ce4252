"""A pre-training run of seconds: SimCLR with a tiny encoder on random textures, and an input that knows its place."""

import jax
import jax.numpy as jnp
import numpy as np

from ssl_jax.methods.simclr import SimCLR
from ssl_jax.networks import projection_head, small_convnet
from ssl_jax.optimizers import sgd
from ssl_jax.train.mesh import batch_sharding, make_mesh

IMAGES = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 1), np.uint8)
ENCODER = small_convnet(channels=1, widths=(4,), strides=(2,))
METHOD = SimCLR(ENCODER, projection_head(inputs=ENCODER.width, widths=(8,)), temperature=0.5)
OPTIMIZER = sgd(lambda step: jnp.float32(0.1))


def augment(rng, image):
    noise = jax.random.normal(rng, (2, *image.shape))
    return image.astype(jnp.float32)[None] / 255 + 0.1 * noise


class Batches:
    """Deterministic batches of 16; `state` and `restore` as the real input has them."""

    batch_size = 16

    def __init__(self, devices=1):
        self.step, self.sharding = 0, batch_sharding(make_mesh(devices))

    def __next__(self):
        index = self.index_of(self.step)
        self.step += 1
        batch = {"image": IMAGES[index], "label": index % 2, "index": index}
        return jax.device_put(batch, self.sharding)

    @classmethod
    def index_of(cls, step):
        return np.random.default_rng(step).permutation(len(IMAGES))[: cls.batch_size].astype(np.int32)

    def state(self):
        return {"step": self.step}

    def restore(self, state):
        self.step = state["step"]
