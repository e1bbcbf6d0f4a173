"""Hypothesis tests on sets of graphs."""
