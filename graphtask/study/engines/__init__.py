"""Engines that perform the jobs of a study."""
