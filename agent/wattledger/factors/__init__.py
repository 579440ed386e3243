"""Numbers that multiply energy, by place and time, each with its origin.  Imports core alone; no network."""
