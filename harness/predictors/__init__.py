"""Latency and accuracy of networks that nobody ran."""
