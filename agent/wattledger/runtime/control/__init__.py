"""The agent's control socket: programs say their spans, tokens and names, and ask for their own footprints."""
