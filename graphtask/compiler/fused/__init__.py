"""Fused execution of a compiled graph, stage by stage; its only entry point is `staged.run_fused`."""
