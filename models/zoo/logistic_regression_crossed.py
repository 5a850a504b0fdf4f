"""Logistic regression with every field crossed with the domain."""

from __future__ import annotations

from typing import ClassVar

import tf_keras as keras

from models.zoo.logistic_regression import LogisticRegression
from models.zoo.registry import register


@register("logistic_regression_crossed")
@keras.utils.register_keras_serializable("crocodile")
class CrossedLogisticRegression(LogisticRegression):
    """Logistic regression in which each domain may differ from what all domains say.

        y_k = sigmoid(b_s + sum over f of (w_f[id_{k,f}] + w_f^s[id_{k,f}]) + sum over g of (v_g + v_g^s) x_{k,g})

    With s the domain of k. The crossed weights w^s and v^s learn from domain s alone. They start from 0, so of an id
    that a domain has not seen, the weight that all domains share remains.
    """

    crossed: ClassVar[bool] = True
