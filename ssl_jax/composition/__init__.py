"""What recipes are composed of: option groups of images, clips, crops and schedules, views, and the decorator of a recipe."""

from ssl_jax.composition.crops import Crops
from ssl_jax.composition.images import CIFAR, DIGITS, IMAGENET, PHOTOS, VIT_PHOTOS, Images
from ssl_jax.composition.opened import Opened
from ssl_jax.composition.recipe import Recipe, recipe
from ssl_jax.composition.training import Album, Laptop, Training
from ssl_jax.composition.variants import VIT_ALBUM, on_emoji, on_photos

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
]
