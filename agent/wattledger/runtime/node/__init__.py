"""The agent of a node: a session that goes on for ever, and what it needs beside the meter."""
