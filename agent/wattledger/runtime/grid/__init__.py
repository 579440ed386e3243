"""Live grid intensities: who is asked, when, what is in force meanwhile; on one thread of its own, off everybody's path."""
