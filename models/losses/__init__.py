"""Training losses: pure functions on tensors, with thin Keras classes over them; those between experts by name."""

from models.losses import cos_loss as _cos_loss  # noqa: F401  (registers its loss)
from models.losses import cov_loss as _cov_loss  # noqa: F401
from models.losses import dcorr_loss as _dcorr_loss  # noqa: F401
from models.losses import dot_loss as _dot_loss  # noqa: F401
from models.losses import importance_loss as _importance_loss  # noqa: F401
from models.losses import ole_loss as _ole_loss  # noqa: F401
from models.losses import trans5_loss as _trans5_loss  # noqa: F401
from models.losses.expert_loss import EXPERT_LOSSES, ExpertLoss, build_expert_loss

__all__ = ["EXPERT_LOSSES", "ExpertLoss", "build_expert_loss"]
