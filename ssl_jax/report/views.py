"""The section that shows what the networks see: views, crops, tiles, masked patches, clips. Captions depend on the method.

n: examples; V: views. Pictures are uint8 [H, W, C].
"""

from collections.abc import Iterator

import numpy as np

from ssl_jax.report.captions import Caption
from ssl_jax.report.html import Html, join, tag
from ssl_jax.report.pictures import MOST_IMAGES, address, thumbnail
from ssl_jax.report.reading import Pictures

MOST_CLIPS, LARGEST_SOUND = 4, 512  # Clips, and pixels of a side of a spectrogram.
TILES = 9
SMALL_CROP = "Small crop"


def section(pictures: Pictures, caption: Caption) -> Html | None:
    """Of images, originals in one row and what the network makes of them below; of clips, a block for each."""
    if "views" not in pictures:
        return None
    shown = clips(pictures, caption) if "frames" in pictures else columns(pictures, caption)
    see = tag("p", caption.see, channels(pictures["views"].shape[-1]), class_="see")
    return tag("section", tag("h2", caption.heading), see, shown)


def channels(count: int) -> str | None:
    """Which channels of the images the page shows, where it cannot show all."""
    if count in (1, 3):
        return None
    shown = "the first is shown" if count == 2 else "the first three are shown as red, green and blue"
    return f" Of {count} channels, here and below, {shown}."


def columns(pictures: Pictures, caption: Caption) -> Html:
    """A column for each image, a row for each view."""
    count = min(len(pictures["views"]), MOST_IMAGES)
    strips = (
        join(
            tag("h3", name),
            tag("div", *map(_cell, images[:count]), class_="strip", style=_scale(pictures, name, images)),
        )
        for name, images in rows(pictures, caption)
    )
    return tag("div", *strips, class_="views", style=f"--n: {count}")


def _scale(pictures: Pictures, name: str, images: np.ndarray) -> str | None:
    """Small crops are drawn in the scale of the large ones, of which they have fewer pixels."""
    share = images.shape[-2] / pictures["views"].shape[-2]
    return f"--scale: {share:.3f}" if name.startswith(SMALL_CROP) else None


def rows(pictures: Pictures, caption: Caption) -> Iterator[tuple[str, np.ndarray]]:
    """The rows by name: each `[n, H, W, C]`, or `[n, 9, H, W, C]` of tiles."""
    if "views_original" in pictures:
        yield "Original", pictures["views_original"]
    if caption.tiles and pictures["views"].shape[1] == TILES:
        yield caption.rows[0], pictures["views"]
    else:
        yield from _numbered("Large crop" if "small_views" in pictures else "View", pictures["views"], caption.rows)
    yield from _numbered(SMALL_CROP, pictures.get("small_views"))
    if "transformed" in pictures:
        parts = pictures["transformed"]
        yield "Transformed", parts if parts.shape[1] == TILES else parts[:, 0]
    yield from masked_rows(pictures)
    if "reconstructed" in pictures:
        yield "Reconstructed", pictures["reconstructed"]
    for name, title in (("predicted_colors", "Predicted colours"), ("true_colors", "True colours")):
        if name in pictures:
            yield title, pictures[name]


def masked_rows(pictures: Pictures) -> Iterator[tuple[str, np.ndarray]]:
    """Visible patches alone; or the context and the targets; or, as many as there are views, masked views."""
    masked = pictures.get("masked", np.empty((0, 0)))
    if masked.shape[1] == 1:
        yield "Visible patches", masked[:, 0]
    elif masked.shape[1] == pictures["views"].shape[1]:
        yield from _numbered("Masked crop", masked)
    else:
        names = ("Context", *(f"Target {number}" for number in range(1, masked.shape[1])))
        yield from ((name, masked[:, number]) for number, name in zip(range(masked.shape[1]), names, strict=False))


def clips(pictures: Pictures, caption: Caption) -> Html:
    """For each clip a strip of its frames, one of the frames that the network sees, and the spectrogram of its sound."""
    count = min(len(pictures["views"]), MOST_CLIPS)
    widest = max(pictures["frames"].shape[1], pictures["views"].shape[1])
    return tag("div", *(_clip(pictures, row) for row in range(count)), class_="clips", style=f"--n: {widest}")


def _clip(pictures: Pictures, row: int) -> Html:
    parts = [
        tag("h3", "Clip"), _strip(pictures["frames"][row]), tag("h3", "Input"), _strip(pictures["views"][row])
    ]  # fmt: skip
    if "sound" in pictures:
        sound = address(pictures["sound"][row], most=LARGEST_SOUND)
        parts += [tag("h3", "Sound"), tag("img", src=sound, alt="spectrogram", class_="sound")]
    return tag("div", *parts)


def _strip(images: np.ndarray) -> Html:
    return tag("div", *map(thumbnail, images), class_="strip")


def _cell(image: np.ndarray) -> Html:
    """An image, or its nine tiles in three rows."""
    return thumbnail(image) if image.ndim == 3 else tag("div", *map(thumbnail, image), class_="tiles")


def _numbered(name: str, images: np.ndarray | None, names: tuple[str, ...] = ()) -> Iterator[tuple[str, np.ndarray]]:
    count = 0 if images is None else images.shape[1]
    given = names if len(names) == count else [f"{name} {number + 1}" for number in range(count)]
    return ((each, images[:, number]) for number, each in enumerate(given) if images is not None)
