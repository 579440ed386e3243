"""What the agent's own pages say: plain data from the snapshot and the books, and their routes."""
