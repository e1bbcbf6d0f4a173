from .metric import Metric as Metric
from .registry import register_metric as register_metric
from .registry import unregister_metric as unregister_metric
from .view import UndefinedMetricError as UndefinedMetricError
