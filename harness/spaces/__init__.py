"""Families of networks that share one supernet: pure data and counting, no torch."""
