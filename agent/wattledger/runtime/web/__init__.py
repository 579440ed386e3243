"""The agent's one HTTP server: what it serves (``pages``), to whom (``access``), and how little a client can cost (``server``)."""
