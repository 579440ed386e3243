"""Exporters: each renders the catalog in one form.  Found by entry point (``wattledger.exporters``); the meter imports none."""
