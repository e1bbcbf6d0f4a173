"""Measuring graphs: the metrics as data (`registry`), what they share (`view`), and rows of them (`table`)."""
