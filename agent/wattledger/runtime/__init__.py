"""Where time, threads and files live.  ``sampler.py`` is the only loop and holds the only lock."""
