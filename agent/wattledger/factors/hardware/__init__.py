"""What it emitted to make hardware: figures with their sources, and formulas for what has no figure of its own."""
