"""Adam for embedding tables: only the rows that a step touched are updated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tf_keras as keras


class LazyAdam(keras.optimizers.legacy.Adam):
    """Adam (Kingma & Ba, 2015) whose moments and weights stand still in the rows without a gradient.

        m_r <- beta_1 m_r + (1 - beta_1) g_r,   v_r <- beta_2 v_r + (1 - beta_2) g_r^2,   for the rows r of the batch
        w_r <- w_r - learning_rate * sqrt(1 - beta_2^t) / (1 - beta_1^t) * m_r / (sqrt(v_r) + epsilon)

    Keras' Adam decays all moments and moves all rows at every step, so a step gets slower as the vocabulary grows, and
    a rare id drifts on where its last rows pushed it. As in TensorFlow Addons' LazyAdam, t counts all steps. On dense
    gradients it is Keras' Adam.

    Args:
      learning_rate: float, or one of Keras' schedules. Step size. Defaults to 0.001.
      **kwargs: Those of Keras' legacy Adam; `amsgrad` is not supported.
    """

    def __init__(
        self,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 0.001,
        name: str = "LazyAdam",
        **kwargs: Any,
    ) -> None:
        if kwargs.get("amsgrad"):
            raise ValueError("`amsgrad` should not be set: it is not supported. Received: `amsgrad`=True")
        super().__init__(learning_rate, name=name, **kwargs)

    def _resource_apply_sparse(
        self,
        grad: tf.Tensor,
        var: tf.Variable,
        indices: tf.Tensor,
        apply_state: Mapping[tuple[Any, Any], Mapping[str, tf.Tensor]] | None = None,
    ) -> tf.Operation:
        """Updates the rows `indices`, each of which occurs once: Keras has added up what repeats."""
        device, dtype = var.device, var.dtype.base_dtype
        state = (apply_state or {}).get((device, dtype)) or self._fallback_apply_state(device, dtype)
        first, second = self.get_slot(var, "m"), self.get_slot(var, "v")
        m = tf.gather(first, indices) * state["beta_1_t"] + grad * state["one_minus_beta_1_t"]
        v = tf.gather(second, indices) * state["beta_2_t"] + tf.square(grad) * state["one_minus_beta_2_t"]
        step = state["lr"] * m / (tf.sqrt(v) + state["epsilon"])
        return tf.group(
            first.scatter_update(tf.IndexedSlices(m, indices)),
            second.scatter_update(tf.IndexedSlices(v, indices)),
            var.scatter_sub(tf.IndexedSlices(step, indices)),
        )
