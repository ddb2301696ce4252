"""Costs of compiled programs, against counts by hand and the compiler's own, and what follows from them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.extend.core import Primitive
from jax.sharding import PartitionSpec

from ssl_jax.planning.chips import TPUS, roofline
from ssl_jax.planning.compiled_text import arrays_in, read_program
from ssl_jax.planning.costs import Costs, Traffic, costs_of, group_size, slices_in
from ssl_jax.planning.products import products
from ssl_jax.train.mesh import make_mesh

# As libtpu writes it: a loop without its length, groups by axes of a mesh, arrays in fast memory, a reduce-scatter.
TPU = """HloModule jit_step

%body (p: (s32[], f32[8,4])) -> (s32[], f32[8,4]) {
  %p = (s32[]{:T(128)}, f32[8,4]{1,0:T(8,128)}) parameter(0)
  %i = s32[]{:T(128)} get-tuple-element(%p), index=0
  %x = f32[8,4]{1,0:T(8,128)} get-tuple-element(%p), index=1
  %w = f32[4,4]{1,0:T(8,128)S(1)} constant({...})
  %y = f32[8,4]{1,0:T(8,128)} convolution(%x, %w), dim_labels=bf_io->bf
  %z = f32[8,4]{1,0:T(8,128)} all-reduce(%y), replica_groups=mesh['axis_0'=4,'axis_1'=2] {'axis_0'}, to_apply=%add
  ROOT %t = (s32[]{:T(128)}, f32[8,4]{1,0:T(8,128)}) tuple(%i, %z)
}

%condition (p: (s32[], f32[8,4])) -> pred[] {
  %p = (s32[]{:T(128)}, f32[8,4]{1,0:T(8,128)}) parameter(0)
  %n = s32[]{:T(128)} constant(7)
  %i = s32[]{:T(128)} get-tuple-element(%p), index=0
  ROOT %lt = pred[]{:T(512)} compare(%i, %n), direction=LT
}

%all-reduce-scatter (q: f32[8,4]) -> f32[2,4] {
  %q = f32[8,4]{1,0:T(8,128)} parameter(0)
  %sum = f32[8,4]{1,0:T(8,128)} all-reduce(%q), replica_groups=[1,4]<=[4], to_apply=%add
  ROOT %part = f32[2,4]{1,0:T(8,128)} dynamic-slice(%sum, %zero, %zero), dynamic_slice_sizes={2,4}
}

ENTRY %main (a: f32[8,4]) -> f32[2,4] {
  %a = f32[8,4]{1,0:T(8,128)} parameter(0)
  %zero = s32[]{:T(128)} constant(0)
  %start = (s32[]{:T(128)}, f32[8,4]{1,0:T(8,128)}) tuple(%zero, %a)
  %loop = (s32[]{:T(128)}, f32[8,4]{1,0:T(8,128)}) while(%start), condition=%condition, body=%body
  %last = f32[8,4]{1,0:T(8,128)} get-tuple-element(%loop), index=1
  ROOT %out = f32[2,4]{1,0:T(8,128)} fusion(%last), kind=kCustom, calls=%all-reduce-scatter
}
"""

# What libtpu makes of a sum, a gather and a ring over three slices of four chips.
SLICES = """HloModule jit_step

ENTRY %main (a: f32[8,4]) -> f32[8,4] {
  %a = f32[8,4]{1,0:T(8,128)} parameter(0)
  %after = token[] after-all()
  %sum = (f32[8,4]{1,0:T(8,128)}, u32[], token[]) send(%a, %after), channel_id=2, is_host_transfer=true, frontend_attributes={_xla_host_transfer_handler_name="xla_megascale_runtime",_xla_megascale_target="{1,2,3}x{0:3}",_xla_megascale_transfer_type="ALL_REDUCE"}
  %got = (f32[8,4]{1,0:T(8,128)}, u32[], token[]) recv(%after), channel_id=1, is_host_transfer=true, frontend_attributes={_xla_megascale_target="{1,2,3}x{0:3}",_xla_megascale_transfer_type="ALL_REDUCE"}
  %all = (f32[8,4]{1,0:T(8,128)}, u32[], token[]) send(%a, %after), channel_id=4, is_host_transfer=true, frontend_attributes={_xla_megascale_target="{1,2,3}x{0:3}",_xla_megascale_transfer_type="ALL_GATHER"}
  %ring = (f32[8,4]{1,0:T(8,128)}, u32[], token[]) send(%a, %after), channel_id=6, is_host_transfer=true, frontend_attributes={_xla_megascale_target={{100003->200000},{200003->300000},{300003->100000}},_xla_megascale_transfer_type="ONE_TO_ONE"}
  %done = (f32[8,4]{1,0:T(8,128)}, token[]) recv-done(%got), channel_id=1, is_host_transfer=true
  ROOT %out = f32[8,4]{1,0:T(8,128)} get-tuple-element(%done), index=0
}
"""  # noqa: E501


def compiled_costs(function, *arguments):
    compiled = jax.jit(function).lower(*arguments).compile()
    return costs_of(read_program(compiled.as_text())), compiled.cost_analysis()


def test_the_costs_of_a_tpu_program():
    found = costs_of(read_program(TPU))
    assert found.flops == 7 * 2 * 8 * 4 * 4
    # In the loop: x read and y written by the product, whose weights are on the chip; y read and z written by the sum.
    assert found.bytes == 7 * (2 * 128 + 2 * 128) + 128 + 32
    assert found.traffic["all-reduce"] == Traffic(7, 7 * 128, 7 * 2 * 128 * 3 / 4)
    assert found.traffic["reduce-scatter"] == Traffic(1, 32, 128 * 3 / 4)
    assert found.unknown_loops == 0
    unknown = costs_of(read_program(TPU.replace("direction=LT", "direction=GT")))
    assert (unknown.flops, unknown.unknown_loops) == (2 * 8 * 4 * 4, 1)


def test_what_is_sent_between_slices_goes_over_the_network():
    found = costs_of(read_program(SLICES))
    assert found.traffic == {
        "all-reduce between slices": Traffic(1, 128, 2 * 128 * 2 / 3),
        "all-gather between slices": Traffic(1, 3 * 128, 2 * 128),
        "collective-permute between slices": Traffic(1, 128, 128),
    }
    assert found.bytes == 4 * 128  # Three are read, and one is written.
    assert slices_in('x, _xla_megascale_target={{100000,100001,200000}},_xla_megascale_transfer_type="ALL_TO_ALL"') == 2
    chip = TPUS["v5e"]
    times = roofline(found, chip)
    assert times.links == 0 and times.network == pytest.approx(128 * (4 / 3 + 2 + 1) / 3.125e9)
    assert times.seconds == times.network and times.bound == "network"


def test_groups_in_all_notations():
    assert group_size(" replica_groups={{0,1,2},{3,4,5}}, x") == 3
    assert group_size(" replica_groups=[2,4]<=[8]") == group_size("replica_groups=mesh['a'=4,'b'=2] {'a'}") == 4
    assert group_size(" source_target_pairs={{0,1},{1,0}}") is None


def test_bytes_of_arrays():
    def bytes_of(shapes):
        return sum(array.bytes for array in arrays_in(shapes))

    assert bytes_of("(f32[64]{0:T(128)}, bf16[8,128]{1,0}, pred[3])") == 64 * 4 + 8 * 128 * 2 + 3
    assert bytes_of("s32[]") == 4 and bytes_of("f8e4m3fn[10]") == 10


def test_a_loop_counts_with_its_length_and_a_conditional_with_its_cheap_branch():
    def step(x, w):
        x, _ = lax.scan(lambda x, _: (jnp.tanh(x @ w), None), x, None, length=5)
        return lax.cond(x.sum() > 0, lambda: x @ w @ w, lambda: x)

    x, w = jnp.ones((16, 32)), jnp.ones((32, 32))
    found, theirs = compiled_costs(step, x, w)
    assert found.flops == 5 * 2 * 16 * 32 * 32 == products(jax.make_jaxpr(step)(x, w)) and found.unknown_loops == 0
    assert theirs["flops"] < found.flops


def test_the_attention_of_cudnn_counts_by_its_shapes():
    """Named as in JAX, whose own primitives refuse to be traced without a GPU."""

    def bind(name, *arrays):
        primitive = Primitive(f"dot_product_attention_{name}_wrapper")
        primitive.def_abstract_eval(lambda query, *rest: query)
        return primitive.bind(*arrays)

    def step(query, key, value):
        return bind("bwd", query, key, value, bind("fwd", query, key, value))

    query, key, value = (jnp.ones(shape) for shape in ((2, 6, 4, 8), (2, 5, 2, 8), (2, 5, 2, 3)))
    pairs = 2 * 4 * 6 * 5
    assert products(jax.make_jaxpr(step)(query, key, value)) == 2 * pairs * (8 + 3) + 2 * pairs * (3 * 8 + 2 * 3)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("stride", [1, 2])
def test_convolutions_without_their_padding(padding, stride):
    """Forward, and the gradients, which are convolutions with dilated arguments: each multiplies the same pairs."""

    def loss(x, w):
        dimensions = ("NHWC", "HWIO", "NHWC")
        return lax.conv_general_dilated(x, w, (stride, stride), padding, dimension_numbers=dimensions)

    x, w = jnp.ones((2, 9, 9, 3)), jnp.ones((3, 3, 3, 4))
    found, _ = compiled_costs(loss, x, w)
    axis = np.pad(np.ones(9), 1 if padding == "SAME" else 0)
    pairs = sum(axis[first : first + 3].sum() for first in range(0, len(axis) - 2, stride)) ** 2
    assert found.flops == 2 * 2 * pairs * 3 * 4
    gradient, _ = compiled_costs(lambda x, w: jax.grad(lambda x, w: (loss(x, w) ** 2).sum(), (0, 1))(x, w), x, w)
    assert gradient.flops == 3 * found.flops


def test_collectives_and_what_each_device_sends():
    def step(rows):
        rows = lax.ppermute(rows, "data", [(shard, (shard + 1) % 4) for shard in range(4)]) @ jnp.ones((8, 8))
        return lax.psum(lax.all_gather(rows, "data").sum(0), "data")

    mapped = jax.shard_map(step, mesh=make_mesh(4), in_specs=PartitionSpec("data"), out_specs=PartitionSpec())
    rows = jnp.ones((4 * 64, 8))
    found, _ = compiled_costs(mapped, rows)
    part = 64 * 8 * 4
    assert 4 * found.flops == products(jax.make_jaxpr(mapped)(rows)) == 4 * 2 * 64 * 8 * 8
    assert found.traffic["collective-permute"] == Traffic(1, part, part)
    assert found.traffic["all-gather"] == Traffic(1, 4 * part, 3 * part)
    assert found.traffic["all-reduce"] == Traffic(1, part, 2 * part * 3 / 4)


def test_a_slice_of_a_stack_is_not_the_stack():
    """The rows that a loop takes one after another are read once, not all of them in each round."""

    def step(stack):
        return lax.scan(lambda total, row: (jnp.sin(total + row), None), stack[0], stack)[0]

    found, theirs = compiled_costs(step, jnp.ones((50, 1000)))
    assert 50 * 1000 * 4 <= found.bytes < 5 * 50 * 1000 * 4 and theirs["bytes accessed"] < found.bytes


def test_the_roofline():
    chip = TPUS["v3"]
    costs = Costs(chip.flops, chip.bandwidth, {"all-reduce": Traffic(2, 1, chip.links / 4)})
    times = roofline(costs, chip)  # A device is half of a chip.
    assert (times.compute, times.memory, times.links) == (2, 2, 0.5) and times.seconds == 2
    assert times.one_after_another == 4.5 and times.bound in ("compute", "memory")
