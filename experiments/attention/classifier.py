"""A transformer as a classifier: an encoder, the maximum over positions, a linear layer; against a bag of symbols.

    python experiments/attention/classifier.py --seeds 0 1 2
    python experiments/attention/classifier.py --data imdb_reviews

The network of the practicum's notebook 15: one layer, tokens of 32 values, two heads, 128 hidden units, AdamW with a rate of
0.001. By default it reads words of the CMU Pronouncing Dictionary (`pip install 'ssl_jax[speech]'`) letter by letter, and
counts their
syllables, which are the vowels that one hears: 1, 2, 3 or more. With `--data` it reads a tfds data set of texts that is
prepared, such as the notebook's film reviews, of which it takes the first 200 words and the 50,000 most frequent. The baseline,
logistic regression on counts of symbols, sees no order. Prints accuracies on unseen examples; writes results/classifier.json.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from missing_runs import Found, run_missing
from numpy.typing import NDArray

from ssl_jax.data import Arrays, Batches
from ssl_jax.data.tfds.text import Texts, open_texts
from ssl_jax.evaluate import linear_probe
from ssl_jax.methods.supervised import Supervised
from ssl_jax.networks import projection_head
from ssl_jax.networks.functional import Net
from ssl_jax.optimizers import adamw
from ssl_jax.sequences.encoder_only import encoder_only
from ssl_jax.sequences.spelling import LETTERS, VOWELS, Part, open_spelling
from ssl_jax.sequences.vocabulary import END, FIRST, PADDING
from ssl_jax.train import fit
from ssl_jax.train.mesh import batch_sharding, make_mesh

RESULTS = Path(__file__).parents[1] / "results" / "classifier.json"
MOST_BAGGED = 1000  # Symbols that the baseline counts, the most frequent.


class Labelled(NamedTuple):
    """Sequences `[N, S]` and labels `[N]` of both parts."""

    name: str
    symbols: int
    classes: int
    train: tuple[NDArray[np.int32], NDArray[np.int32]]
    test: tuple[NDArray[np.int32], NDArray[np.int32]]


def classifier(
    *,
    seeds: tuple[int, ...] = (0,),
    data: str | None = None,
    words: int = 20_000,
    unseen: int = 2000,
    steps: int = 1500,
    batch_size: int = 164,
    results: Path = RESULTS,
) -> Found:
    """Accuracies on unseen examples by classifier, "right" in percent, one for each seed of the transformer.

    Args:
      seeds: one run each.
      data: name of a prepared tfds data set of texts with labels; words of the dictionary when None.
      words, unseen: numbers of words for training and for evaluation; not with `data`.
      steps: training steps; the notebook's ten epochs are 1,372.
      batch_size: of training.
      results: file of the measurements; runs that are missing in it follow one another.
    """
    task = syllables(words, unseen) if data is None else reviews(data)
    baselines: dict[str, Callable[[Labelled], float]] = {
        "most frequent class": most_frequent,
        "bag of symbols": of_bags,
    }

    def measure(name: str, seed: int) -> dict[str, float]:
        if name in baselines:
            return {"right": baselines[name](task)}
        return {"right": accuracy(task, steps=steps, batch_size=batch_size, seed=seed)}

    settings = {"data": task.name, "examples": len(task.train[1]), "steps": steps}
    found = run_missing(results, settings, baselines, (0,), measure)
    found |= run_missing(results, settings, ("transformer",), seeds, measure)
    for name, kept in found.items():
        print(f"{name:<20} {np.mean(kept['right']):.1f} ± {np.std(kept['right']):.1f} % of {len(task.test[1])} right")
    return found


def most_frequent(task: Labelled) -> float:
    return 100 * float((task.test[1] == np.bincount(task.train[1]).argmax()).mean())


def of_bags(task: Labelled) -> float:
    """Percent that logistic regression on counts classifies correctly; its strength is chosen on a part of training."""
    (train, train_labels), (test, test_labels) = task.train, task.test
    bags = bag(train, task.symbols), bag(test, task.symbols)
    return 100 * linear_probe(bags[0], train_labels, bags[1], test_labels, num_classes=task.classes).accuracy


def accuracy(task: Labelled, *, steps: int, batch_size: int, seed: int) -> float:
    """Percent of the test that a transformer of this seed classifies correctly."""
    encoder = encoder_only(symbols=task.symbols, dim=32, depth=1, heads=2, pool="max")
    method = Supervised(encoder=encoder, head=projection_head(inputs=32, widths=(task.classes,), norm=False))
    symbols, labels = task.train
    source, mesh = Arrays(task.name, {"symbols": symbols, "label": labels}), make_mesh()
    with Batches(source, batch_size, seed=seed, sharding=batch_sharding(mesh)) as batches:
        state = fit(
            method, as_views, adamw(lambda step: jnp.float32(1e-3), weight_decay=0.01), batches, steps=steps, seed=seed,
            mesh=mesh, log_every=steps,
        )  # fmt: skip
    return 100 * float((predicted(method, state, task.test[0]) == task.test[1]).mean())


def as_views(rng: jax.Array, symbols: jax.Array) -> dict[str, jax.Array]:
    """One view; the trainer adds the label."""
    return {"views": symbols[None]}


def predicted(method: Supervised, state: Any, symbols: NDArray[np.int32], *, chunk: int = 500) -> NDArray[np.intp]:
    """The classes of sequences."""

    @jax.jit
    def logits(rows: jax.Array) -> jax.Array:
        def run(name: str, net: Net, inputs: jax.Array) -> Any:
            return net.apply(state.params[name], state.method_state[name], inputs, train=False)[0]

        return run("head", method.head, run("encoder", method.encoder, rows)["features"])

    parts = [symbols[start : start + chunk] for start in range(0, len(symbols), chunk)]
    return np.concatenate([np.asarray(logits(jnp.asarray(part))) for part in parts]).argmax(axis=1)


def syllables(words: int, unseen: int) -> Labelled:
    """Words, and 0, 1 or 2 for 1, 2, 3 or more vowels of their usual pronunciation."""
    dictionary = open_spelling(longest=10, train_words=words, test_words=unseen)

    def labelled(part: Part) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        heard = [sum(sound in VOWELS for sound in references[0]) for references in part.references]
        return part.spellings.arrays["spelling"], np.clip(np.array(heard, np.int32) - 1, 0, 2)

    return Labelled("cmudict, syllables", len(LETTERS), 3, labelled(dictionary.train), labelled(dictionary.test))


def reviews(data: str, *, longest: int = 200, most: int = 50_000) -> Labelled:
    """Texts as indices of lower-case words; words that are rare in training are one symbol, the first."""
    parts = {split: open_texts(f"{data}:{split}") for split in ("train", "test")}
    counts = Counter(word for text in parts["train"].texts for word in words_of(text))
    indices = {word: index for index, (word, _) in enumerate(counts.most_common(most), start=FIRST + 1)}

    def encoded(part: Texts) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        rows = np.full((len(part.texts), longest + 1), PADDING, np.int32)
        for row, text in zip(rows, part.texts, strict=True):
            found = [indices.get(word, FIRST) for word in words_of(text)][:longest]
            row[: len(found) + 1] = [*found, END]
        return rows, part.labels

    return Labelled(
        data, FIRST + 1 + len(indices), len(parts["train"].classes), encoded(parts["train"]), encoded(parts["test"])
    )


def words_of(text: str) -> Iterator[str]:
    return (word for word in "".join(letter if letter.isalnum() else " " for letter in text.lower()).split())


def bag(rows: NDArray[np.int32], symbols: int) -> NDArray[np.float32]:
    """Counts of the most frequent symbols, which have the lowest indices, `[N, at most 1000]`."""
    counted = min(symbols, FIRST + 1 + MOST_BAGGED)
    counts = np.zeros((len(rows), counted), np.float32)
    for position in range(rows.shape[1]):
        known = (rows[:, position] >= FIRST) & (rows[:, position] < counted)
        np.add.at(counts, (np.flatnonzero(known), rows[known, position]), 1)
    return counts[:, FIRST:]


if __name__ == "__main__":
    tyro.cli(classifier)
