"""A program's end of the control socket: the node's agent as its meter."""
