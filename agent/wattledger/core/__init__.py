"""The centre: pure arithmetic over readings.  No clock, no I/O, no third party.  Read ``pipeline.py`` first."""
