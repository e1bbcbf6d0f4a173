"""The command line of graphtask: commands parse, call one library function, and print."""
