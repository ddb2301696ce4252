"""SimCLR on ImageNet as its authors ran it: ResNet-50, batch 4096, LARS, 100 epochs; published: about 64.5 % linear.

    tfds build imagenet2012 --file_format=array_record        # once; needs TensorFlow and ImageNet's own files
    python experiments/simclr_imagenet.py --distributed --workers 16    # on each host of a TPU pod or Slurm job

The authors' hardware: 32 TPU v3, about 6 hours (google-research/simclr). Not measured by us.
"""

import sys
from functools import partial
from typing import Any

from ssl_jax.commands import Options, pretrain, read_options
from ssl_jax.evaluate.results import digest
from ssl_jax.files import to_json
from ssl_jax.recipes import simclr


def simclr_imagenet(options: Options, **recipe: Any) -> dict[str, Any] | None:
    """The configuration is the keyword arguments of `ssl_jax.recipes.simclr.imagenet`, and where and how to run."""
    return pretrain(partial(simclr.imagenet, **recipe), options)


if __name__ == "__main__":
    make, options = read_options(simclr.imagenet, sys.argv[1:], prog="simclr_imagenet.py")
    results = simclr_imagenet(options, **make.keywords)
    if results:
        print(to_json(digest(results)))
