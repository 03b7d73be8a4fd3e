"""Campaigns: measuring many workloads on one device in interleaved rounds."""
