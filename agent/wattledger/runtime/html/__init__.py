"""Pages for people: templates, the style sheet and the one script."""
