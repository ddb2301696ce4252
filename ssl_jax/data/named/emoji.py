"""Emoji drawn by four artists: the same concepts by several artists, one of them held out as the test part.

`emoji` trains on all artists but OpenMoji's, which is the test part: is a concept recognised as another artist draws it?
The name may choose: `emoji:google+twitter,test=microsoft,label=concept`. Labels are Unicode's nine groups, or the
concepts (label=concept), of which each artist has one drawing: chance 1/K. `ssl_jax.data.preparation.emoji` makes the
data set, on the user's machine.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from ssl_jax.data.channels import Channels
from ssl_jax.data.named.emoji_artists import ARTISTS, Artist
from ssl_jax.data.source import Data
from ssl_jax.data.tfds.names import data_folder, matched
from ssl_jax.data.tfds.prepared import open_prepared
from ssl_jax.errors import UsageError, pick
from ssl_jax.sizes import ImageSize

EMOJI, VERSION = "emoji", "1.0.0"
TEST_ARTIST = "openmoji"
LABELS = {"concept": "label", "group": "group", "artist": "artist", "none": "none"}
PATTERN = re.compile(r"emoji(:(?P<split>[^:,]+))?(?P<keys>(,(test|label)=[^,=]+)*)")


def prepared_folder(data_dir: Path | None = None) -> Path:
    """The folder of the prepared data set in the usual folder of data sets, or in this one."""
    return (data_dir or data_folder()) / EMOJI / VERSION


def open_emoji(
    name: str = EMOJI, *, image_size: ImageSize | None = None, channels: Channels | None = None, strict: bool = False
) -> Data:
    """The prepared data set.

    Args:
      name: `emoji[:ARTISTS][,test=ARTIST][,label=group|concept|artist|none]`; ARTISTS to train on, joined by +, or another
        split in tfds's syntax; all but the one to test on when not given. Every artist has drawn all K concepts once.
        Evaluate concepts by retrieval and k-NN: linear probes have K outputs, and classes of three drawings.
      image_size, channels, strict: as in `open_data`; images are 64 x 64 in colour.

    Raises:
      UsageError: not prepared, or a name that is not of this form or has the artist of the test part among those to train on.
    """
    found, keys = matched(PATTERN, name)
    if found is None:
        raise UsageError(
            f"data: {name!r} is not a name of emoji: write it like emoji, or emoji:google+twitter,test=microsoft,label=concept."
        )
    test = pick("artist", keys.get("test", TEST_ARTIST), ARTISTS)
    label = LABELS[pick("label", keys.get("label", "group"), LABELS)]
    split = found["split"] or "+".join(artist for artist in ARTISTS if artist != test)
    if test in re.split(r"\W+", split):
        raise UsageError(
            f"data: {test} is both to train on ({split}) and to test on: leave it out, or choose another of "
            f"test={'|'.join(ARTISTS)}."
        )
    folder = prepared_folder()
    if not (folder / "features.json").exists():
        raise UsageError(
            f"data: emoji is not prepared in {folder.parent.parent}: run `ssl-jax data prepare emoji`, which downloads "
            f"{total_size(ARTISTS) / 1e6:.0f} MB, or set TFDS_DATA_DIR to its folder."
        )
    return open_prepared(
        folder,
        name=name,
        split=split,
        test_split=test,
        label=label,
        image_size=image_size,
        channels=channels,
        strict=strict,
    )


def total_size(artists: Mapping[str, Artist]) -> int:
    """Bytes of these artists' packages."""
    return sum(artist.package.size for artist in artists.values())
