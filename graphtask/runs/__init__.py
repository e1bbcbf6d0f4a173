"""The run folder: its format, read and written without PyTorch."""
