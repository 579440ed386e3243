"""Machines and their parts: what happened to them, and where the carbon that made them goes."""
