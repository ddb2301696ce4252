"""Names of tfds data sets and the folders in which they are prepared."""

import difflib
import fnmatch
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import tensorflow_datasets as tfds

from ssl_jax.errors import UsageError

PATTERN = re.compile(
    r"(?P<name>[^:,]+)(:(?P<version>[\d*]+\.[\d*]+\.[\d*]+))?(:(?P<split>[^:,][^,]*))?(?P<keys>(,(image|label)=[^,=]+)*)"
)


class Specification(NamedTuple):
    """The parts of `name[/config][:version][:split][,image=KEY][,label=KEY]`; None for those left out."""

    name: str
    version: str | None
    split: str | None
    image: str | None
    label: str | None


def parse(specification: str) -> Specification:
    """The parts of a name; a `UsageError` if it is invalid."""
    found, keys = matched(PATTERN, specification)
    if found is None:
        raise UsageError(
            f"data: {specification!r} is not a name of a data set: write it like imagenet2012:train[:10%] or "
            "smallnorb:train,image=image2,label=label_azimuth."
        )
    return Specification(found["name"], found["version"], found["split"], keys.get("image"), keys.get("label"))


def matched(pattern: re.Pattern[str], name: str) -> tuple[re.Match[str] | None, dict[str, str]]:
    """The match of a whole name and its keys, `,KEY=VALUE`, the group "keys"; no match where a key is given twice."""
    found = pattern.fullmatch(name)
    pairs = [pair.split("=") for pair in found["keys"].split(",") if pair] if found else []
    keys = dict(pairs)
    return (found if len(keys) == len(pairs) else None), keys


def data_folder() -> Path:
    """The folder of prepared data sets: that of TFDS_DATA_DIR, else tfds's default."""
    return Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def prepared(name: str, version: str | None, own_names: Iterable[str]) -> Path:
    """The folder of the newest version that fits; a `UsageError` with a remedy where there is none."""
    data_dir = tfds.core.Path(data_folder())
    configs = sorted({path.parent.parent.name for path in (data_dir / name).glob("*/*/features.json")})
    if len(configs) > 1:
        variants = ", ".join(f"{name}/{config}" for config in configs)
        raise UsageError(f"data: {name} is prepared in several variants: choose one of {variants}.")
    pattern = "*/*/features.json" if configs else "*/features.json"
    folders = {
        path.parent.name: path.parent
        for path in (data_dir / name).glob(pattern)
        if re.fullmatch(r"\d+\.\d+\.\d+", path.parent.name)
    }
    fitting = fnmatch.filter(folders, version or "*")
    if fitting:
        return folders[max(fitting, key=lambda version: [int(part) for part in version.split(".")])]
    if not folders:
        _check_known(name, own_names)
    wanted = f"{name}:{version}" if version else name
    raise UsageError(
        f"data: {wanted} is not prepared in {data_dir}{f', only {min(folders)}' if folders else ''}: run "
        f"`pip install tensorflow` and `tfds build {wanted} --data_dir={data_dir} --file_format=array_record` "
        "(only preparing needs tensorflow), or set TFDS_DATA_DIR to its folder."
    )


def _check_known(name: str, own_names: Iterable[str]) -> None:
    builders = tfds.list_builders(with_community_datasets=False)  # Community data sets would need the network.
    if name.split("/")[0] in builders:
        return
    if "/" in name:
        raise UsageError(f"data: {name} is neither an existing folder nor a data set of tfds: name one of these.")
    folders = [path.name for path in Path.cwd().iterdir() if path.is_dir()]
    near = difflib.get_close_matches(name, [*own_names, *folders, *builders], n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"choose {', '.join(own_names)}, a folder, or a tfds name."
    raise UsageError(f"unknown data set {name!r}: {hint}")
