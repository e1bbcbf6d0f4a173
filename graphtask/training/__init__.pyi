from .callbacks import Callback as Callback
from .parity import Parity as Parity
from .parity import parity as parity
from .retrain import RetrainResult as RetrainResult
from .retrain import compare_retrained as compare_retrained
from .sweep import SweepResult as SweepResult
from .sweep import suggested_threshold as suggested_threshold
