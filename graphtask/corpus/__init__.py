"""Many graphs in many files: found, read, measured and remembered, without one taking the others down."""
