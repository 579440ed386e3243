"""One file or folder per kind of truth; each knows core and one vendor library, never a sibling."""
