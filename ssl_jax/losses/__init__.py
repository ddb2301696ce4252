"""Losses: pure functions of embeddings, in nats where they are entropies, whole or sharded by `axis_name`."""

from ssl_jax.losses.audiovisual import agreeing_clips, avid, cma, correspondence
from ssl_jax.losses.clustering import cluster_cross_entropy, swav
from ssl_jax.losses.coding_rate import coding_rate, simdino
from ssl_jax.losses.contrastive import decoupled_contrastive, in_batch_info_nce, moco_v3, ntxent, supervised_contrastive
from ssl_jax.losses.decorrelation import barlow_twins, sigreg, vicreg
from ssl_jax.losses.distillation import center_and_sharpen, dino, negative_cosine, update_center
from ssl_jax.losses.masked_distillation import ibot, koleo
from ssl_jax.losses.negatives import cpc, estimate_log_partition, info_nce, nce
from ssl_jax.losses.pretext import cross_entropy, weighted_cross_entropy
from ssl_jax.losses.reconstruction import masked_regression, masked_smooth_l1

__all__ = [
    "agreeing_clips",
    "avid",
    "barlow_twins",
    "center_and_sharpen",
    "cluster_cross_entropy",
    "cma",
    "coding_rate",
    "correspondence",
    "cpc",
    "cross_entropy",
    "decoupled_contrastive",
    "dino",
    "estimate_log_partition",
    "ibot",
    "in_batch_info_nce",
    "info_nce",
    "koleo",
    "masked_regression",
    "masked_smooth_l1",
    "moco_v3",
    "nce",
    "negative_cosine",
    "ntxent",
    "sigreg",
    "simdino",
    "supervised_contrastive",
    "swav",
    "update_center",
    "vicreg",
    "weighted_cross_entropy",
]
