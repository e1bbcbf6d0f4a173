"""HTML reports: one file, without a network, with interactive graphs."""
