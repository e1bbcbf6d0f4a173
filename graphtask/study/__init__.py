"""Many training runs from one file: data sets × priors × seeds."""
