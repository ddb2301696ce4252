"""Every recipe of every method, traced at full size: nothing is compiled or run."""

import inspect

import jax
import numpy as np
import pytest
from PIL import Image

from ssl_jax.recipes import explained, find, methods, recipes
from ssl_jax.train.program import batch_shapes
from ssl_jax.train.state import init_state
from ssl_jax.train.step import make_views, step_keys

EVERY = [(method, name) for method in methods() for name in recipes(method)]
SCALES = {"demo", "emoji", "photos", "cifar", "imagenet", "imagenet_v1", "imagenet_v2", "kinetics", "seer", "ucf101"}
DRAWN = {"avc": "clips", "avid": "clips", "cma": "clips"}  # others take images, or clips without sound
DRAWN |= dict.fromkeys(("frames", "shuffle_and_learn", "tracks"), "silent-clips")
SMALL = {"clusterfit": {"clusters": 16}, "deepcluster": {"clusters": 16}, "sela": {"clusters": 16}}  # of 512 images
SMALL |= {"shuffle_and_learn": {"margin": 1}}  # of 4 frames


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    """A file of features of the 512 synthetic images: k-means of pixels at full size takes longer than all other recipes."""
    path = tmp_path_factory.mktemp("features") / "features.npy"
    np.save(path, np.random.default_rng(0).normal(size=(512, 4)).astype(np.float32))
    return {"clusterfit": {"features": str(path)}}


def traced(recipe):
    """Shapes of the state of a run, after views, networks, objective and optimizer have been traced at full size.

    Not the gradient, which takes two thirds of the time and depends on the method alone: the contract test takes it.
    """
    method, optimizer = recipe.method, recipe.optimizer(1000)
    state = jax.eval_shape(lambda: init_state(method, optimizer.transformation, seed=0))
    batch = batch_shapes(recipe.data.train[0] | {"index": np.int32(0)}, recipe.batch_size)

    def forward(state, batch):
        views_rng, encode_rng, objective_rng = step_keys(0, state.step)
        views = make_views(recipe.augment, views_rng, batch)
        embeddings, carried = method.encode(state.params, state.method_state, views, encode_rng, state.step)
        loss, changes, _ = method.objective(embeddings, carried, objective_rng, state.step)
        updates, moments = optimizer.transformation.update(state.params, state.optimizer, state.params)
        return loss, updates, method.after_step(state.params, {**carried, **changes}, state.step)[1], moments

    loss, updates, carried, moments = jax.eval_shape(forward, state, batch)
    assert loss.shape == ()
    for made, given in ((updates, state.params), (carried, state.method_state), (moments, state.optimizer)):
        assert jax.tree.structure(made) == jax.tree.structure(given)
    return state


@pytest.mark.slow
@pytest.mark.parametrize(("method", "name"), EVERY, ids=["/".join(pair) for pair in EVERY])
def test_it_traces_at_full_size_and_its_arguments_make_it_again(method, name, features):
    options = SMALL.get(method, {}) | features.get(method, {})
    recipe = find(method, name)(data=DRAWN.get(method, "synthetic"), **options)
    traced(recipe)
    assert recipe.name == f"{method}/{name}"
    again = find(method, name)(**recipe.arguments)
    assert again.arguments == recipe.arguments and again.steps == recipe.steps


@pytest.mark.parametrize(("method", "name"), EVERY, ids=["/".join(pair) for pair in EVERY])
def test_every_option_is_explained(method, name):
    words = explained(find(method, name))
    assert all(f"\n  {option}: " in words for option in inspect.signature(find(method, name)).parameters)


@pytest.mark.parametrize("method", methods())
def test_every_method_has_a_demo_and_the_scale_of_its_paper(method):
    assert "demo" in recipes(method) and set(recipes(method)) <= SCALES and len(recipes(method)) > 1


@pytest.mark.parametrize("encoder", ["small", "resnet18", "vit_micro"])
def test_patches_of_cpc_do_not_meet_in_batch_statistics(encoder):
    """Those make the task easier than it should be: Hénaff et al. 2019, section 4.1."""
    size = {"patch_size": 14, "stride": 7, "rows": 1}
    statistics = [
        jax.eval_shape(
            find("cpc", name)(data="synthetic", encoder=encoder, **size).method.encoder.init, jax.random.key(0)
        )[1]
        for name in ("demo", "imagenet")
    ]
    assert not jax.tree.leaves(statistics)


@pytest.mark.slow
def test_relative_paths_are_recorded_as_absolute_ones(tmp_path, monkeypatch):
    (tmp_path / "pictures").mkdir()
    for number in range(4):
        Image.new("L", (16, 16), 9 * number).save(tmp_path / f"pictures/{number}.png")
    np.save(tmp_path / "features.npy", np.eye(4))
    monkeypatch.chdir(tmp_path)
    made = find("clusterfit", "demo")(data="./pictures", features="features.npy", image_size=16, clusters=2)
    assert made.arguments["data"] == str(tmp_path / "pictures")
    assert made.arguments["features"] == str(tmp_path / "features.npy")
    monkeypatch.chdir("/")
    assert find("clusterfit", "demo")(**made.arguments).arguments == made.arguments
