"""The section of clustering methods: prototypes, each with the images that are nearest to it."""

from ssl_jax.report.html import Html, tag
from ssl_jax.report.pictures import thumbnail
from ssl_jax.report.reading import Pictures

SEE = (
    "The prototypes, clusters or outputs that most training images are assigned to, each with the images of its highest "
    "probability: they should show the same. Training does not use the classes, so that a class may have many prototypes."
)


def section(pictures: Pictures) -> Html | None:
    """A block for each prototype; None where the method has none."""
    if "prototype_image" not in pictures:
        return None
    shares = pictures.get("prototype_share", [None] * len(pictures["prototype_image"]))
    blocks = [
        tag(
            "div",
            tag(
                "h3", f"Prototype {number}", None if share is None else tag("span", f"{100 * share:.1f}% of the images")
            ),
            tag("div", *map(thumbnail, images), class_="strip"),
        )
        for number, (images, share) in enumerate(zip(pictures["prototype_image"], shares, strict=True), 1)
    ]
    return tag(
        "section", tag("h2", "Prototypes"), tag("p", SEE, class_="see"), tag("div", *blocks, class_="prototypes")
    )
