"""What recipes are composed of: groups of options, views, the decorator of a recipe, and variants of recipes."""

from ssl_jax.composition.crops import Crops
from ssl_jax.composition.images import CIFAR, DIGITS, IMAGENET, PHOTOS, VIT_PHOTOS, Images
from ssl_jax.composition.opened import Opened
from ssl_jax.composition.recipe import Recipe, recipe
from ssl_jax.composition.training import Album, Laptop, Training
from ssl_jax.composition.variants import VIT_ALBUM, on_emoji, on_photos, variant

__all__ = [
    "CIFAR",
    "DIGITS",
    "IMAGENET",
    "PHOTOS",
    "VIT_ALBUM",
    "VIT_PHOTOS",
    "Album",
    "Crops",
    "Images",
    "Laptop",
    "Opened",
    "Recipe",
    "Training",
    "on_emoji",
    "on_photos",
    "recipe",
    "variant",
]
