"""Put once-for-all networks on real devices: measure, search, verify, report."""

__version__ = "0.2.0"
