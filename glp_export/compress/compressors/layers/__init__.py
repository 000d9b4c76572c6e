"""Whole layers: Greedy-layer Pruning (Peer et al. 2022) and the strategies beside it."""
