"""Litres of water: consumed by power stations for a kWh (``ewif``), and by a site's cooling (``site``)."""
