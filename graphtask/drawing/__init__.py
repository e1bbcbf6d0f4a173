"""Graphs, edge histories and learning curves as matplotlib figures, the way they look in a paper."""
