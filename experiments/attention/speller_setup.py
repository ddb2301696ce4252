"""Setup of `speller.py`: sizes, tasks, and networks of one size."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

from ssl_jax.data import Arrays
from ssl_jax.errors import UsageError
from ssl_jax.networks.functional import Net
from ssl_jax.sequences.recurrent import recurrent
from ssl_jax.sequences.spelling import LONGEST, Part, Spelling
from ssl_jax.sequences.transformer import transformer
from ssl_jax.sequences.vocabulary import Vocabulary
from ssl_jax.sequences.word_noise import denoised, noise, transcribed

Pairs = tuple[NDArray[np.int32], NDArray[np.int32]]


class Size(NamedTuple):
    """Sizes of the data, of the networks and of the training."""

    longest: int  # most letters, and most sounds
    train_words: int | None
    test_words: int | None
    dim: int  # of the transformer; the other networks get as many parameters
    depth: int
    heads: int
    batch_size: int
    steps: int
    learning_rate: float
    warmup: int
    dropout: float = 0.1
    label_smoothing: float = 0.0
    width: int = 5  # of the beam


SIZES = {
    # Minutes on two cores. One learning rate is used for all three networks: on the validation words it beats 6e-3 for the
    # transformer and 5e-3 for the others; 2e-2 is too much for the transformer, and gains the others 1 and 4 % of their nats.
    "demo": Size(
        longest=10, train_words=20_000, test_words=2_000, dim=64, depth=2, heads=4, batch_size=128, steps=2_500,
        learning_rate=1e-2, warmup=250,
    ),
    # The whole dictionary, 100 times. Four layers of 128 in encoder and predictor, as Yolchuyeva et al. 2019 have them as far
    # as we could check; the optimizer's settings are ours, and no such run has been made.
    "full": Size(
        longest=LONGEST, train_words=None, test_words=None, dim=128, depth=4, heads=4, batch_size=256, steps=47_400,
        learning_rate=1e-3, warmup=4_000, label_smoothing=0.1,
    ),
}  # fmt: skip

# Phoneme and word error rate in percent, without stress, on the same dictionary in another split: about 113,000 words for
# training and 12,000 for the test. Confirmed by an abstract or a list of papers, except those "as we know it".
PUBLISHED = {
    "Rao et al. 2015, LSTM with CTC, ICASSP 2015": (None, 25.8),
    "Yao and Zweig 2015, bidirectional LSTM, alignments given, arXiv 1506.00196": (5.45, 23.55),
    "Toshniwal and Livescu 2016, LSTM with attention, arXiv 1610.06540, as we know it": (5.04, 21.69),
    "Toshniwal and Livescu 2016, five of these together": (4.69, 20.24),
    "Yolchuyeva et al. 2019, transformer, Interspeech 2019, as we know it": (5.23, 22.1),
}


class Task(NamedTuple):
    """Sources and targets of a task."""

    train: Arrays
    augment: Callable[[Any, Any], Any]
    letters: Vocabulary  # symbols of the sources
    sources: int  # number of source symbols; the last is the mask
    written: Vocabulary
    validation: Pairs
    test: Pairs
    read: NDArray[np.int32]  # sources of the test, each word once
    references: Sequence[Sequence[Sequence[str]]]


def prepare(task: str, dictionary: Spelling) -> Task:
    """The words of the dictionary for this task. The index after the letters is the mask."""
    mask, (train, validation, test) = (
        len(dictionary.letters),
        (dictionary.train, dictionary.validation, dictionary.test),
    )
    sources = mask + 1  # Also without masks, so that a network has one size for both tasks.
    if task == "spelling":
        pairs = [tuple(part.examples.arrays.values()) for part in (validation, test)]
        read = test.spellings.arrays["spelling"]
        return Task(
            train.examples, transcribed, dictionary.letters, sources, dictionary.sounds, *pairs, read, test.references
        )
    corrupt = noise(mask=mask, reach=1)  # Neighbours swap positions, as in typing.

    def in_noise(part: Part) -> Pairs:
        clean = part.spellings.arrays["spelling"]
        return np.asarray(jax.vmap(corrupt)(jax.random.split(jax.random.key(0), len(clean)), clean)), clean

    pairs, references = [in_noise(part) for part in (validation, test)], [[tuple(word)] for word in test.words]
    return Task(
        train.spellings,
        denoised(corrupt),
        dictionary.letters,
        sources,
        dictionary.letters,
        *pairs,
        pairs[1][0],
        references,
    )


def untouched(task: Task) -> float:
    """Fraction of the test words that noise leaves unchanged: copying the source is correct on these."""
    return float((task.read == task.test[1]).all(axis=1).mean())


def make_transformer(size: Size, dim: int, *, read: int, written: int) -> Net:
    return transformer(sources=read, symbols=written, dim=dim, depth=size.depth, heads=size.heads, dropout=size.dropout)


def make_recurrent(size: Size, dim: int, *, read: int, written: int, attention: bool) -> Net:
    return recurrent(
        sources=read, symbols=written, dim=dim, depth=size.depth, cell="lstm", attention=attention, dropout=size.dropout
    )


NETWORKS: dict[str, Callable[..., Net]] = {
    "transformer": make_transformer,
    "recurrent": partial(make_recurrent, attention=True),
    "recurrent-without-attention": partial(make_recurrent, attention=False),
}
WITH_ATTENTION = ("transformer", "recurrent")


def of_one_size(names: Sequence[str], size: Size, *, read: int, written: int) -> dict[str, Net]:
    """The networks; the widths of the recurrent ones match the transformer's number of parameters."""
    model = make_transformer(size, size.dim, read=read, written=written)
    target, nets = parameters(model), {}
    for name in names:
        make = partial(NETWORKS[name], size, read=read, written=written)
        nets[name] = model if name == "transformer" else as_large(make, target, width=size.dim)
        count = parameters(nets[name])
        print(f"{name:<28} width {nets[name].width:4}  {count:9,} parameters")
        if abs(count - target) > 0.05 * target:
            raise UsageError(
                f"dim: {name} has {count:,} parameters where {target:,} are needed, and no width is within 5 %: "
                f"raise dim, {size.dim}."
            )
    return nets


def as_large(make: Callable[[int], Net], target: int, *, width: int) -> Net:
    """The network of even width with the number of parameters nearest to the target; it grows about quadratically."""
    nets: dict[int, Net] = {}
    while width not in nets:
        nets[width] = make(width)
        width = max(2, 2 * round(width / 2 * (target / parameters(nets[width])) ** 0.5))
    return min(nets.values(), key=lambda net: abs(parameters(net) - target))


def parameters(net: Net) -> int:
    """The number of trained parameters of a network."""
    return sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(net.init, jax.random.key(0))[0]))
