"""The command line of graphtask: each command parses, calls the library, and prints."""
