from .engines.ray import RayEngine as RayEngine
from .retrain import retrain_runs as retrain_runs
