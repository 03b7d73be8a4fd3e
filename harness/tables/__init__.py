"""Latency tables: records, files, and what is derived from them."""
