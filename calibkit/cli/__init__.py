"""The command line: thin commands over the library. stdout is data, stderr is everything else."""
