"""One contract, every method: to add a method, add a line to METHODS."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from precision import EXACT

from ssl_jax.augment.clip_tasks import order_views
from ssl_jax.augment.lab import grayscale_and_color
from ssl_jax.augment.masked_crops import masked_crops
from ssl_jax.augment.masking import block_masking, hole_masking, random_masking
from ssl_jax.augment.permutations import permutations
from ssl_jax.augment.pretext import four_rotations, grid_views, jigsaw_views, pirl_views, shuffled, without_shortcuts
from ssl_jax.methods.audio_video import AudioVideo
from ssl_jax.methods.avc import AVC
from ssl_jax.methods.avid import AVID
from ssl_jax.methods.barlow_twins import BarlowTwins
from ssl_jax.methods.byol import BYOL
from ssl_jax.methods.clusterfit import ClusterFit
from ssl_jax.methods.cma import CMA
from ssl_jax.methods.colorization import Colorization
from ssl_jax.methods.cpc import CPC
from ssl_jax.methods.dcl import DCL
from ssl_jax.methods.deepcluster import DeepCluster
from ssl_jax.methods.dino import DINO
from ssl_jax.methods.dinov2 import DINOv2
from ssl_jax.methods.ibot import IBOT
from ssl_jax.methods.ijepa import IJEPA
from ssl_jax.methods.inpainting import Inpainting
from ssl_jax.methods.jigsaw import Jigsaw
from ssl_jax.methods.lejepa import LeJEPA
from ssl_jax.methods.mae import MAE
from ssl_jax.methods.moco import MoCo
from ssl_jax.methods.moco_v3 import MoCoV3
from ssl_jax.methods.nnclr import NNCLR
from ssl_jax.methods.npid import NPID
from ssl_jax.methods.pirl import PIRL
from ssl_jax.methods.relative_position import RelativePosition
from ssl_jax.methods.rotation import Rotation
from ssl_jax.methods.sela import SeLa
from ssl_jax.methods.shuffle_and_learn import ShuffleAndLearn
from ssl_jax.methods.simclr import SimCLR
from ssl_jax.methods.simdino import SimDINO
from ssl_jax.methods.simsiam import SimSiam
from ssl_jax.methods.supcon import SupCon
from ssl_jax.methods.supervised import Supervised
from ssl_jax.methods.swav import SwAV
from ssl_jax.methods.vicreg import VICReg
from ssl_jax.networks import linear_head, projection_head, prototype_head, small_convnet, vit
from ssl_jax.networks.audio_video import small_video_convnet
from ssl_jax.networks.context import row_context
from ssl_jax.networks.functional import Net
from ssl_jax.networks.masked_decoder import masked_decoder
from ssl_jax.ops.patches import patchify
from ssl_jax.optimizers import sgd
from ssl_jax.train import Execution
from ssl_jax.train.checkpoint import Checkpoints
from ssl_jax.train.compilation import not_kept
from ssl_jax.train.gradient import loss_and_gradient, sharded_objective
from ssl_jax.train.mesh import batch_sharding, make_mesh, replicated, rows_shardings
from ssl_jax.train.program import batch_shapes, make_program
from ssl_jax.train.state import init_state
from ssl_jax.train.step import make_step, make_views, step_keys

SIZE, BATCH, STEPS = 12, 16, 30
ENCODER = small_convnet(channels=1, widths=(4, 8), strides=(2, 2))
HEAD = projection_head(inputs=ENCODER.width, widths=(16, 8))
PREDICTOR = projection_head(inputs=8, widths=(4, 8))
PROTOTYPES = prototype_head(inputs=ENCODER.width, widths=(16, 8), outputs=6)
CLASSIFIER = linear_head(inputs=ENCODER.width, outputs=3)
FOUR = linear_head(inputs=ENCODER.width, outputs=4)
VIDEO, AUDIO = small_video_convnet(widths=(4,), strides=(2,)), small_convnet(widths=(4,), strides=(2,))
CLIP_HEAD = projection_head(inputs=8, widths=(8,), last_norm=True)
CLIP_LINEAR, MAP_LINEAR = linear_head(inputs=8, outputs=8), linear_head(inputs=4, outputs=8)
HOLE = projection_head(inputs=ENCODER.width, widths=(16, 36))
VIT = vit(
    image_size=SIZE, patch_size=2, dim=ENCODER.width, depth=1, heads=2, channels=1, pool="mean", positions="sincos"
)
TOKEN_VIT = vit(
    image_size=SIZE, patch_size=3, dim=ENCODER.width, depth=1, heads=2, channels=1, mask_token=True, registers=1
)
TOKEN_HEAD = prototype_head(inputs=TOKEN_VIT.width, widths=(16, 8), outputs=6)
CLIPS = {"video": VIDEO, "audio": AUDIO, "video_head": CLIP_HEAD, "audio_head": CLIP_HEAD, "clips": 2 * BATCH}


def patch_encoder(width):
    """What a linear layer and tanh make of patches, and its mean: an encoder that compiles at once."""

    def init(rng):
        return {"kernel": jax.random.normal(rng, (9, width))}, {}

    def apply(params, stats, images, *, train, rng=None):
        places = jnp.tanh(patchify(images, 3) @ params["kernel"])
        return {"layer2": places, "features": places.mean(axis=(1, 2))}, stats

    return Net(init, apply, width, spatial=True)


def of_clips(net):
    """The network on the mean of the frames."""

    def apply(params, stats, videos, *, train, rng=None):
        return net.apply(params, stats, videos.mean(axis=1), train=train, rng=rng)

    return Net(net.init, apply, net.width, spatial=net.spatial)


# The same without batch statistics, so that a microbatch is encoded as it is in the whole batch.
PLAIN = {
    id(ENCODER): patch_encoder(8),
    id(HEAD): projection_head(inputs=8, widths=(16, 8), norm=False),
    id(PREDICTOR): projection_head(inputs=8, widths=(4, 8), norm=False),
    id(PROTOTYPES): prototype_head(inputs=8, widths=(16, 8), outputs=6),
    id(CLASSIFIER): linear_head(inputs=8, outputs=3),
    id(FOUR): linear_head(inputs=8, outputs=4),
    id(VIDEO): of_clips(patch_encoder(8)),
    id(AUDIO): patch_encoder(8),
    id(HOLE): projection_head(inputs=8, widths=(16, 36), norm=False),
    id(MAP_LINEAR): linear_head(inputs=8, outputs=8),
    id(CLIP_HEAD): projection_head(inputs=8, widths=(8,)),
}

# The same with first layers that make up nearly all of a step's FLOPs, as encoders do outside tests.
WIDE = {
    id(ENCODER): small_convnet(channels=1, widths=(32, 8), strides=(2, 2)),
    id(VIDEO): small_video_convnet(widths=(32, 4), strides=(2, 1)),
    id(AUDIO): small_convnet(widths=(32, 4), strides=(2, 1)),
}


def two_views(rng, image):
    """Brightness and a shift by a pixel, enough to differ."""
    amount = jax.random.uniform(rng, (2, 1, 1, 1), minval=0.5, maxval=1.5)
    image = image.astype(jnp.float32) / 255
    return jnp.stack([image, jnp.roll(image, 1, axis=0)]) * amount


def many_crops(rng, image):
    """Two views and three of their quarters."""
    views = two_views(rng, image)
    quarters = [views[0, :6, :6], views[0, 6:, :6], views[1, 6:, 6:]]
    return {"views": views, "small_views": jnp.stack(quarters)}


def clip_views(rng, image):
    """A clip of two frames, and the image as what is heard."""
    views = two_views(rng, image)
    return {"views": views[None], "audio": views[0]}


def one_view(rng, image):
    return two_views(rng, image)[:1]


def tinted_view(rng, image):
    """The image in three colours."""
    return one_view(rng, image) * jnp.array([1.0, 0.7, 0.4]).reshape(1, 1, 1, 3)


def lit_from_the_corner(rng, image):
    """Brightness tells the place of each pixel: a trivial solution, which a few steps find."""
    return one_view(rng, image) * jnp.linspace(0, 1, SIZE**2).reshape(1, SIZE, SIZE, 1)


GRID = grid_views(one_view, size=3, gap=1, jitter=0, finish=without_shortcuts())
LIT_GRID = grid_views(lit_from_the_corner, size=3, gap=1, jitter=0, finish=lambda rng, tile: tile)
PARTS = linear_head(inputs=9 * 8, outputs=8)

SIX_COLORS = np.array([[0, 0], [20, 20], [60, 0], [0, 60], [-40, 0], [0, -40]], np.float32)
COLORS = linear_head(inputs=8, outputs=4 * len(SIX_COLORS))
CLUSTERED = {"examples": 2 * BATCH, "entries": 3 * BATCH, "recluster_every": 2, "clusters": 4, "heads": 2}


def predictor_of(outputs):
    return masked_decoder(inputs=VIT.width, outputs=outputs, grid=SIZE // 2, dim=8, depth=1, heads=2)


def brightening(rng, image):
    """Frames of a clip that grows brighter: the order of three is that of their brightness."""
    clip = (image.astype(jnp.float32) / 255)[None] * jnp.linspace(0.1, 1, 5).reshape(5, 1, 1, 1)
    return ORDER(rng, clip)


ORDER = order_views(lambda rng, frame: frame[None], in_order=0.5)
ORDERED = projection_head(inputs=24, widths=(16, 2), norm=False, last_bias=True)

# the method, with the tiny networks above, and the views that it takes
METHODS = {
    "avc": (AVC(video=VIDEO, audio=AUDIO, video_head=CLIP_LINEAR, audio_head=CLIP_LINEAR), clip_views),
    "avc with a map": (
        AVC(video=VIDEO, audio=AUDIO, video_head=MAP_LINEAR, audio_head=CLIP_LINEAR, fusion="map"),
        clip_views,
    ),
    "avid": (AVID(**CLIPS, negatives=16, temperature=0.2), clip_views),
    "barlow_twins": (BarlowTwins(ENCODER, HEAD), two_views),
    "byol": (BYOL(ENCODER, HEAD, STEPS, predictor=PREDICTOR), two_views),
    "clusterfit": (ClusterFit(ENCODER, CLASSIFIER, clusters=np.arange(2 * BATCH, dtype=np.int32) % 3), two_views),
    "cma": (
        CMA(
            **CLIPS, negatives=16, temperature=0.2, start_step=1, refresh_every=4, positive_pool=4, positives_per_clip=2
        ),
        clip_views,
    ),
    "colorization": (
        Colorization(ENCODER, COLORS, layer="layer2", cells=2, colors=SIX_COLORS),
        grayscale_and_color(tinted_view),
    ),
    "cpc": (
        CPC(
            ENCODER,
            HEAD,
            context=row_context(inputs=8, width=8, depth=1),
            predictor=linear_head(inputs=8, outputs=16),
            patch_size=6,
            stride=2,
            prediction_steps=2,
            first_row=1,
            image_size=SIZE,
        ),
        one_view,
    ),
    "dcl": (DCL(ENCODER, HEAD), two_views),
    "deepcluster": (DeepCluster(ENCODER, HEAD, **CLUSTERED), many_crops),
    "dino": (DINO(ENCODER, PROTOTYPES, STEPS, warmup=10), many_crops),
    "dinov2": (
        DINOv2(TOKEN_VIT, TOKEN_HEAD, STEPS, patch_head=TOKEN_HEAD),
        masked_crops(many_crops, grid=4, smallest=1),
    ),
    "ibot": (IBOT(TOKEN_VIT, TOKEN_HEAD, STEPS, warmup=10), masked_crops(many_crops, grid=4, smallest=1)),
    "ijepa": (IJEPA(encoder=VIT, predictor=predictor_of(VIT.width), steps=STEPS), block_masking(one_view, grid=6)),
    "inpainting": (Inpainting(ENCODER, HOLE), hole_masking(one_view, hole=6)),
    "jigsaw": (Jigsaw(ENCODER, HEAD, classifier=PARTS), jigsaw_views(LIT_GRID, permutations(8))),
    "lejepa": (LeJEPA(ENCODER, HEAD, directions=16), many_crops),
    "mae": (MAE(encoder=VIT, decoder=predictor_of(4), patch_size=2), random_masking(one_view, grid=6)),
    "moco": (MoCo(ENCODER, HEAD, STEPS, queue_length=2 * BATCH, temperature=0.2), two_views),
    "moco symmetric": (MoCo(ENCODER, HEAD, STEPS, queue_length=2 * BATCH, temperature=0.2, symmetric=True), two_views),
    "moco_v3": (MoCoV3(ENCODER, HEAD, STEPS, predictor=PREDICTOR), two_views),
    "nnclr": (NNCLR(ENCODER, HEAD, predictor=PREDICTOR, queue_length=2 * BATCH), two_views),
    "npid": (NPID(ENCODER, HEAD, examples=2 * BATCH, negatives=16, temperature=0.2), one_view),
    "pirl with info_nce": (
        PIRL(
            ENCODER,
            HEAD,
            part_head=HEAD,
            joined_head=PARTS,
            examples=2 * BATCH,
            negatives=16,
            temperature=0.2,
            estimator="info_nce",
        ),
        pirl_views(one_view, shuffled(GRID)),
    ),
    "pirl": (
        PIRL(ENCODER, HEAD, part_head=HEAD, joined_head=PARTS, examples=2 * BATCH, negatives=16, temperature=0.2),
        pirl_views(one_view, shuffled(GRID)),
    ),
    "relative_position": (RelativePosition(ENCODER, HEAD, classifier=linear_head(inputs=16, outputs=8)), GRID),
    "rotation": (Rotation(ENCODER, FOUR), four_rotations(one_view)),
    "sela": (SeLa(ENCODER, HEAD, **CLUSTERED), two_views),
    "shuffle_and_learn": (ShuffleAndLearn(ENCODER, HEAD, classifier=ORDERED), brightening),
    "simclr": (SimCLR(ENCODER, HEAD, temperature=0.2), two_views),
    "simdino": (SimDINO(ENCODER, HEAD, STEPS), many_crops),
    "simsiam": (SimSiam(ENCODER, HEAD, predictor=PREDICTOR), two_views),
    "supcon": (SupCon(ENCODER, HEAD), two_views),
    "supervised": (Supervised(ENCODER, CLASSIFIER), two_views),
    "swav": (SwAV(ENCODER, HEAD, prototypes=6), many_crops),
    # Sharper codes amplify the rounding of three steps: a larger epsilon leaves the queue, which is what is tested here.
    "swav with a queue": (
        SwAV(ENCODER, HEAD, prototypes=6, epsilon=0.1, queue_length=BATCH, queue_start=2),
        many_crops,
    ),
    "vicreg": (VICReg(ENCODER, HEAD), two_views),
}


@pytest.fixture(params=METHODS, scope="module")
def method(request):
    return METHODS[request.param][0]


@pytest.fixture(scope="module")
def augment(method):
    return next(augment for other, augment in METHODS.values() if other is method)


@pytest.fixture(scope="module")
def batch():
    images = np.random.default_rng(0).integers(0, 256, (BATCH, SIZE, SIZE, 1), np.uint8)
    index = np.random.default_rng(1).permutation(2 * BATCH)[:BATCH].astype(np.int32)  # of a data set twice as large
    return {"image": images, "label": index % 3, "index": index}


@pytest.fixture(scope="module")
def optimizer():
    return sgd(lambda step: 0.05, momentum=0.9)


@pytest.fixture(scope="module")
def start(method, optimizer):
    return jax.jit(lambda: init_state(method, optimizer.transformation, seed=1))()


@pytest.fixture(scope="module")
def step(method, augment, optimizer):
    """One compilation for a method on one device, whatever the test."""
    return jax.jit(make_step(method, augment, optimizer, seed=1))


@functools.cache
def compiled_views(augment):
    """One compilation for an augmentation, whatever the method and the test."""
    return jax.jit(functools.partial(make_views, augment))


@pytest.fixture(scope="module")
def views(augment, batch):
    return compiled_views(augment)(jax.random.key(0), batch)


@pytest.fixture(scope="module")
def embeddings(method, start, views):
    return jax.jit(method.encode)(start.params, start.method_state, views, jax.random.key(0), start.step)[0]


def on_devices(count):
    mesh = make_mesh(count)
    return lambda value, spread: jax.device_put(value, batch_sharding(mesh) if spread else replicated(mesh))


def cut_by_rows(method, start):
    return [name for name, layout in method.objective_state.items() if layout == "rows" and name in start.method_state]


def run(step, state, batch, *, devices=1, steps=3, layouts=()):
    """`steps` steps with the state's entries named in `layouts` cut over the devices, the others copied."""
    put = on_devices(devices)
    cut = {
        name: jax.device_put(state.method_state[name], rows_shardings(make_mesh(devices), state.method_state[name]))
        for name in layouts
    }
    state, batch, losses = put(state, False), put(batch, True), []
    state = state._replace(method_state={**state.method_state, **cut})
    compiled = step._cache_size()
    for _ in range(steps):
        state, metrics = step(state, batch)
        losses.append(float(metrics["loss"]))
    assert step._cache_size() <= compiled + 1, "the step was compiled more than once"
    return jax.device_get(state), losses


def test_the_facts_are_the_methods_own(method):
    """docs/methods.md has a row of its own for it, so that a subclass does not pass under its parent's name."""
    assert "facts" in vars(type(method))


def test_init_is_decided_by_the_seed(method):
    first, again, other = (method.init(jax.random.key(seed))[0] for seed in (1, 1, 2))
    jax.tree.map(np.testing.assert_array_equal, first, again)
    assert any((a != b).any() for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(other), strict=True))


def test_the_state_keeps_its_structure_and_types(step, start, batch):
    after = jax.eval_shape(step, start, batch)[0]
    assert jax.tree.structure(after) == jax.tree.structure(start)
    assert [(a.shape, a.dtype) for a in jax.tree.leaves(after)] == [(a.shape, a.dtype) for a in jax.tree.leaves(start)]


def test_embeddings_are_per_example(embeddings):
    assert all(leaf.shape[0] == BATCH for leaf in jax.tree.leaves(embeddings))
    assert embeddings["embedding"].ndim == 3


def test_what_gauges_watch_is_what_the_facts_name(method, start, embeddings, batch):
    found = jax.jit(method.watched)(start.params, start.method_state, embeddings, batch["index"], start.step)
    named = {
        "assignments": ("prototypes", "clusters", "labels", "centre"),
        "teacher": ("teacher",),
        "memory": ("bank",),
    }
    for field, words in named.items():
        expected = any(word in method.facts.memory for word in words) and not isinstance(method, ClusterFit)
        assert (getattr(found, field) is not None) == expected, field  # ClusterFit's clusters are labels.
    if found.assignments is not None:
        assert found.assignments.shape[0] == BATCH and (found.assignments >= 0).all()
        np.testing.assert_allclose(found.assignments.sum(axis=1), 1, rtol=1e-5)
    if found.teacher is not None:
        jax.tree.map(np.testing.assert_array_equal, *found.teacher)  # Before the first step.
    if found.memory is not None:
        stored, fresh = found.memory
        assert stored.shape == fresh.shape == (BATCH, embeddings["embedding"].shape[-1])


def test_the_loss_of_equal_candidates_is_its_chance_level(method, start, embeddings):
    """Where nothing distinguishes them: where all embeddings, logits and memories are zero."""
    chance = method.chance_loss(BATCH)
    families = ("contrastive", "clustering", "pretext", "supervised")
    assert chance is not None or method.facts.family not in families
    if chance is not None:
        real = jnp.floating
        zeros = jax.tree.map(lambda leaf: 0 * leaf if jnp.issubdtype(leaf.dtype, real) else leaf, embeddings)
        state = jax.tree.map(jnp.zeros_like, start.method_state)
        loss, _, _ = method.objective(zeros, state, jax.random.key(0), start.step)
        np.testing.assert_allclose(loss, chance, rtol=1e-5)


def test_assignments_are_probabilities_of_what_the_gauges_watch(method, start, embeddings, batch):
    images = jnp.asarray(batch["image"], jnp.float32)[:3] / 255
    found = jax.jit(method.assignments)(start.params, start.method_state, images)
    watched = method.watched(start.params, start.method_state, embeddings, batch["index"], start.step).assignments
    assert (found is not None) == (watched is not None or isinstance(method, ClusterFit))
    if found is not None:
        assert found.shape == (3, CLASSIFIER.width if watched is None else watched.shape[1])
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)


def test_a_reconstruction_keeps_what_the_network_saw(method, start, views):
    found = jax.jit(method.reconstruct)(start.params, start.method_state, views)
    assert (found is not None) == isinstance(method, MAE | Inpainting)
    if found is not None:
        view = views["views"][:, 0]
        changed = np.abs(np.asarray(found - view)).max(axis=-1) > 1e-6  # [B, H, W]
        if isinstance(method, MAE):
            hidden = np.zeros((len(view), (SIZE // method.patch_size) ** 2), bool)
            np.put_along_axis(hidden, np.asarray(views["wanted"]), True, axis=1)
            grid = hidden.reshape(len(view), SIZE // method.patch_size, -1)
            hidden = grid.repeat(method.patch_size, axis=1).repeat(method.patch_size, axis=2)
        else:
            hidden = np.asarray(views.get("counted", view[..., 0] == 0))
        assert changed.any() and not (changed & ~hidden).any()


def test_embed_names_every_layer_and_ends_with_features(method, start):
    images = jnp.zeros((2, SIZE, SIZE, 1))
    seen = {"image": images[:, None], "audio": images} if isinstance(method, AudioVideo) else images
    layers = jax.eval_shape(method.features, start.params, start.method_state, seen)
    width = method.context.width if isinstance(method, CPC) else ENCODER.width
    assert list(layers)[-1] == "features" and layers["features"].shape == (2, width) and len(layers) > 1


def test_the_backbone_has_the_layers_that_are_evaluated(method, start):
    backbone = method.backbone(start.params, start.method_state)
    assert (backbone is None) == isinstance(method, AudioVideo | CPC)  # Clips with sound, and tiles.
    if backbone is not None:
        images = jnp.zeros((2, SIZE, SIZE, 1))
        layers, _ = jax.eval_shape(lambda: backbone.net.apply(*backbone[1:], images, train=False))
        assert layers.keys() == jax.eval_shape(method.features, start.params, start.method_state, images).keys()


def test_loss_falls(method, step, start, batch):
    _, losses = run(step, start, batch, steps=STEPS)
    # DINO's first rises: at the start its centre is zero, and all images have one output
    before = np.max(losses) - 1 if isinstance(method, DINO) else np.mean(losses[:5])
    assert np.isfinite(losses).all() and np.mean(losses[-5:]) < before


@pytest.mark.slow
def test_one_device_equals_eight(method, augment, optimizer, step, start, batch):
    """Also with the objective run on shards, and what the method cuts by rows cut."""
    on_eight = jax.jit(make_step(method, augment, optimizer, seed=1, mesh=make_mesh(8)))
    steps, near = (50, 1e-9) if EXACT else (3, 1e-5)
    one, losses = run(step, start, batch, devices=1, steps=steps)
    eight, sharded_losses = run(on_eight, start, batch, devices=8, steps=steps, layouts=cut_by_rows(method, start))
    np.testing.assert_allclose(losses, sharded_losses, rtol=near, atol=near / 10)
    for part in ("params", "method_state"):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=10 * near, atol=near),
            getattr(one, part),
            getattr(eight, part),
        )


@pytest.mark.slow
def test_microbatches_and_rematerialisation_change_nothing(method, augment, batch):
    """Exactly the gradient of the whole batch, negatives and all, also on several devices."""
    networks = exchanged(method, PLAIN)
    method, optimizer = dataclasses.replace(method, **networks), sgd(lambda step: 0.05, momentum=0.9)
    start = jax.jit(lambda: init_state(method, optimizer.transformation, seed=1))()
    whole, losses = run(jax.jit(make_step(method, augment, optimizer, seed=1)), start, batch)
    mesh = make_mesh(4)
    parts = jax.jit(
        make_step(
            method, augment, optimizer, seed=1, mesh=mesh, execution=Execution(microbatches=4, rematerialize=True)
        )
    )
    found, losses_in_parts = run(parts, start, batch, devices=4, layouts=cut_by_rows(method, start))
    np.testing.assert_allclose(losses, losses_in_parts, rtol=1e-5, atol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), found.params, whole.params)


def exchanged(method, networks):
    """The fields of the method whose networks are to be exchanged for others."""
    fields = {field.name: id(getattr(method, field.name)) for field in dataclasses.fields(method)}
    return {name: networks[key] for name, key in fields.items() if key in networks}


def flops(method, augment, *, devices, examples=64):
    """Those of all devices in a step of the trainer's own program, as compiled; optimizer and loss are a small part."""
    rows = {name: 2 * examples for name in ("queue_length", "examples", "clips") if getattr(method, name, 0)}
    method = dataclasses.replace(method, **exchanged(method, WIDE), **rows)
    mesh = make_mesh(devices)
    program = make_program(method, augment, sgd(lambda step: 0.05, momentum=0.9), seed=1, mesh=mesh)
    example = {"image": np.zeros((SIZE, SIZE, 1), np.uint8), "label": np.int32(0), "index": np.int32(0)}
    batch = batch_shapes(example, examples, sharding=batch_sharding(mesh))
    return devices * program.step.lower(program.like, batch).compile().cost_analysis()["flops"]


# Methods with a second network, rows in another order or rows of other examples: what a compiler may compute everywhere.
# Each takes seconds to compile twice, so that the others, whose `encode` has none of these, are left out.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [("moco", {}), ("moco", {"norm_groups": 8}), ("byol", {}), ("dino", {}), ("cma", {}), ("swav with a queue", {})],
)
def test_devices_share_the_work(name, options):
    """No device encodes the examples of another one."""
    method, augment = METHODS[name]
    method = dataclasses.replace(method, **options)
    assert flops(method, augment, devices=8) <= 1.1 * flops(method, augment, devices=1)


def test_saved_and_restored_it_goes_on_to_the_bit(step, start, batch, tmp_path):
    whole, _ = run(step, start, batch, steps=3)
    before, _ = run(step, start, batch, steps=2)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(jax.tree.map(jnp.asarray, before), input_state={}, score=0.0)
    with Checkpoints(tmp_path) as checkpoints:
        restored, *_ = checkpoints.restore(start)
    after, _ = run(step, restored, batch, steps=1)
    jax.tree.map(np.testing.assert_array_equal, after, whole)


def test_objective_sharded_equals_whole(method, start, embeddings):
    real, others = (
        {name: leaf for name, leaf in embeddings.items() if jnp.issubdtype(leaf.dtype, jnp.floating) == is_real}
        for is_real in (True, False)
    )

    def objective(real, others, *, mesh):
        embeddings, rng = {**real, **others}, jax.random.key(3)
        loss, state, metrics = sharded_objective(method, mesh, embeddings, start.method_state, rng=rng, step=start.step)
        return loss, (state, metrics)

    # Of several CPU devices, LeJEPA's ends the process when it is read again: see `ssl_jax.train.compilation._lose_order`.
    with not_kept():
        both = [
            jax.jit(jax.value_and_grad(functools.partial(objective, mesh=mesh), has_aux=True))(real, others)
            for mesh in (None, make_mesh(4))
        ]
    for a, b in zip(*map(jax.tree.leaves, both), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)


def test_nothing_that_is_carried_is_a_variable_of_the_loss(method, start, views):
    """Teachers, queues, banks and centres are targets: the trainer cuts the gradient into them, and through them."""
    rng = jax.random.key(0)

    def loss_of(state):
        arguments = {"rng": rng, "objective_rng": rng, "step": start.step}
        return loss_and_gradient(method, lambda part: part, start.params, state, views, **arguments)[0]

    gradient = jax.jit(jax.grad(loss_of, allow_int=True))(start.method_state)
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(gradient) if leaf.dtype != jax.dtypes.float0)


def test_views_follow_the_example_not_its_place(augment, batch):
    rng, *_ = step_keys(1, jnp.int32(5))
    of_batch = functools.partial(compiled_views(augment), rng)
    views = of_batch(batch)
    order = np.random.default_rng(1).permutation(BATCH)
    shuffled = of_batch({name: value[order] for name, value in batch.items()})
    sharded = of_batch(on_devices(8)(batch, True))
    for name in views:
        np.testing.assert_array_equal(views[name][order], shuffled[name])
        np.testing.assert_allclose(sharded[name], views[name], atol=1e-6 * max(1, np.abs(views[name]).max()))


def test_views_differ_from_step_to_step(augment, batch):
    views = [compiled_views(augment)(step_keys(1, jnp.int32(step))[0], batch)["views"] for step in (0, 1)]
    assert (views[0] != views[1]).any(axis=(2, 3, 4)).any(axis=1).mean() > 0.5
