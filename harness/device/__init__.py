"""Devices: one TOML file each, composed of a transport, a runtime and conditions."""
