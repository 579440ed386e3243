"""One file for each framework of the user's program; each loads its framework only when it is asked for."""
