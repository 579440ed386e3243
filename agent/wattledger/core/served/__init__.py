"""Beside a serving engine: what its models did, what that cost, and what each request got.  Begins at ``book``."""
