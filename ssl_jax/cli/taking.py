"""Options that are taken out of the words of a command before the rest is parsed."""

from ssl_jax.errors import UsageError


def check_single(words: list[str], option: str) -> None:
    """A `UsageError` where an option of which a sweep has one is given twice, or has several values."""
    places = [position for position, word in enumerate(words) if word.partition("=")[0] == option]
    if len(places) > 1:
        raise UsageError(f"{option[2:]}: it is given {len(places)} times: give {option} once, with one value.")
    for place in places:
        second = place + (1 if "=" in words[place] else 2)
        if second < len(words) and not words[second].startswith("-"):
            raise UsageError(
                f"{option[2:]}: got a second value, {words[second]!r}, and a sweep has one: leave it out; a name with spaces "
                "needs quotes."
            )


def value_of(words: list[str], option: str) -> str | None:
    """The value of `option VALUE` or `option=VALUE`; the words stay."""
    try:
        return take(list(words), option)
    except UsageError:  # Reported when all options are parsed.
        return None


def take(words: list[str], option: str) -> str | None:
    """Removes `option VALUE` or `option=VALUE` from the words and returns the value."""
    for position, word in enumerate(words):
        name, joined, value = word.partition("=")
        if name == option:
            del words[position]
            if not joined and position < len(words):
                value = words.pop(position)
            if not value:
                raise UsageError(f"{option} needs a value after it.")
            return value
    return None
