"""Not a source: what sources of a Linux kernel have in common.  They may not import each other; they may import this."""
