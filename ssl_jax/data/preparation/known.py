"""`ssl-jax data prepare`: the data sets that it knows."""

from pathlib import Path

from ssl_jax.errors import UsageError, pick

# What prepares a data set imports tfds, so it is imported by need.
# ruff: noqa: PLC0415

NAMES = ("emoji", "cifar10", "fashion-mnist", "tfds:NAME")
TFDS = "tfds:"


def prepare(
    name: str,
    folder: Path | None = None,
    packages: Path | None = None,
    archive: Path | None = None,
    yes: bool = False,
) -> Path:
    """Prepares a data set and returns its folder. Arguments and errors are those of `prepare_emoji` and the others."""
    if packages and name != "emoji":
        raise UsageError(f"packages: only emoji is made of packages, got {name}: leave it out.")
    if archive and name != "cifar10":
        raise UsageError(f"archive: only cifar10 is read from an archive, got {name}: leave it out.")
    if name.startswith(TFDS) and name != TFDS:
        from ssl_jax.data.preparation.tfds import prepare_tfds

        return prepare_tfds(name.removeprefix(TFDS), folder, accepted=yes)
    pick("data set to prepare", name, NAMES[:3] if name != TFDS else NAMES)
    if name == "fashion-mnist":
        raise UsageError(
            "data: fashion-mnist (60,000 + 10,000 images, 30 MB, MIT licence) is a package of Debian and needs no "
            "preparation: run "
            "`apt-get install dataset-fashion-mnist`, then `--data fashion-mnist`."
        )
    if name == "cifar10":
        from ssl_jax.data.preparation.cifar import ARCHIVE, prepare_cifar10

        if archive is None:
            raise UsageError(
                f"archive: none was given: download {ARCHIVE} (170 MB, no licence is stated) from "
                "https://www.cs.toronto.edu/~kriz/cifar.html, and name it; or prepare tfds:cifar10, which needs tensorflow."
            )
        return prepare_cifar10(archive, folder)
    from ssl_jax.data.preparation.emoji import prepare_emoji

    return prepare_emoji(folder, packages)
