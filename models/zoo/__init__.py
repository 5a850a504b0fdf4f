"""The zoo: one file a model, all on the contract of `base.py`, known by name."""

from models.zoo import adasparse as _adasparse  # noqa: F401
from models.zoo import crocodile as _crocodile  # noqa: F401  (registers its model)
from models.zoo import epnet as _epnet  # noqa: F401
from models.zoo import hamur as _hamur  # noqa: F401
from models.zoo import hinet as _hinet  # noqa: F401
from models.zoo import logistic_regression as _logistic_regression  # noqa: F401
from models.zoo import logistic_regression_crossed as _logistic_regression_crossed  # noqa: F401
from models.zoo import m3oe as _m3oe  # noqa: F401
from models.zoo import me_mmoe as _me_mmoe  # noqa: F401
from models.zoo import me_ple as _me_ple  # noqa: F401
from models.zoo import mmoe as _mmoe  # noqa: F401
from models.zoo import pepnet as _pepnet  # noqa: F401
from models.zoo import ple as _ple  # noqa: F401
from models.zoo import sdem as _sdem  # noqa: F401
from models.zoo import shared_bottom as _shared_bottom  # noqa: F401
from models.zoo import single_domain as _single_domain  # noqa: F401
from models.zoo import star as _star  # noqa: F401
from models.zoo.base import ForwardPass, MultiDomainModel
from models.zoo.registry import MODELS, build_model, register
from models.zoo.routed_batch import RoutedBatch

__all__ = ["MODELS", "ForwardPass", "MultiDomainModel", "RoutedBatch", "build_model", "register"]
