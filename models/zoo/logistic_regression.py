"""Logistic regression: a weight for every id of every field, the domain among them."""

from __future__ import annotations

from typing import Any, ClassVar

import tf_keras as keras

from models.config import ModelConfig
from models.features import FeatureLayout
from models.layers.linear_part import LinearPart
from models.zoo.base import ForwardPass, MultiDomainModel
from models.zoo.registry import register
from models.zoo.routed_batch import RoutedBatch


@register("logistic_regression")
@keras.utils.register_keras_serializable("crocodile")
class LogisticRegression(MultiDomainModel):
    """The row to beat: on a small log, where networks overfit, it beats most of them.

        y_k = sigmoid(b_s + sum over f of w_f[id_{k,f}] + sum over g of v_g x_{k,g}),   s = domain of k

    The weights of ids are an embedding table of width 1, so its gradients are sparse; `embedding_l2` pulls those of the
    batch's ids to 0. All start from 0: the loss is convex, and an id that was not seen should weigh nothing.
    """

    crossed: ClassVar[bool] = False
    # It is one.
    takes_linear_part: ClassVar[bool] = False

    def __init__(self, config: ModelConfig, layout: FeatureLayout, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(config, layout, seed, **kwargs)
        self.linear = LinearPart(
            layout.num_domains,
            layout.vocabulary_sizes,
            layout.num_value_fields,
            layout.slots,
            layout.widths,
            crossed=self.crossed,
            l2=config.embedding_l2,
        )

    def forward_routed(self, batch: RoutedBatch, training: bool) -> ForwardPass:
        """The sum of the row's weights."""
        return ForwardPass(self.linear(batch.ids, batch.domain, batch.rows_per_domain, batch.values, training=training))
