"""Who pays for the carbon that it took to make machines: each asset's amortisation, divided among jobs."""
