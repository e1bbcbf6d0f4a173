"""Sets of graphs: how alike they are, whether they differ, and the distributions that they come from."""
