from .retrain import retrain_runs as retrain_runs
