"""Kamada-Kawai layouts of graphs."""
