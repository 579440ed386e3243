"""A meter's books: shares are gathered by minute and kept by a thread of their own, off everybody's path."""
