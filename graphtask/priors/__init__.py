"""Priors: where architecture graphs come from before anything is trained."""
