"""Many graphs in many files: found, read, measured and cached, each failure costing one row."""
