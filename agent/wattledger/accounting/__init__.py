"""Methods as pure functions over facts: prices, scope 2, reports.  No clock, no file, no network."""
