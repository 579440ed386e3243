"""The faces of other tools, so that changing over is one import line."""
