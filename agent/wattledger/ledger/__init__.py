"""Facts on disk: the store, its chain, sealed segments, proofs and queries.  Knows core alone; who writes is runtime's business."""
