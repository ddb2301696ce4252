"""Sizes of images: the side of squares, or height and width. Below every floor: imports only `ssl_jax.errors`."""

from ssl_jax.errors import UsageError

ImageSize = int | tuple[int, int]  # Pixels of a side, or height and width.


def sides_of(size: ImageSize) -> tuple[int, int]:
    """Height and width, or rows and columns.

    Example:
      >>> print(sides_of(96), sides_of((96, 128)))
      (96, 96) (96, 128)
    """
    return size if isinstance(size, tuple) else (size, size)


def size_of(height: int, width: int) -> ImageSize:
    """The side of a square, else height and width: the inverse of `sides_of`."""
    return height if height == width else (height, width)


def in_words(size: ImageSize) -> str:
    """A size for a message: "96", or "96 x 128"."""
    return " x ".join(map(str, dict.fromkeys(sides_of(size))))


def with_shorter(size: ImageSize, side: int) -> ImageSize:
    """The size of this shape whose shorter side has this many pixels.

    Example:
      >>> print(with_shorter((96, 128), 120))
      (120, 160)
    """
    height, width = sides_of(size)
    return size_of(round(height * side / min(height, width)), round(width * side / min(height, width)))


def side_of_square(what: str, size: ImageSize) -> int:
    """The side of what is always square, such as "clips"; a `UsageError` where `size` is another shape."""
    height, width = sides_of(size)
    if height != width:
        raise UsageError(
            f"image_size: {what} are square, got {in_words(size)}: give one side, such as {min(height, width)}."
        )
    return height
