"""Graphs as rows of one standardized matrix of features."""
