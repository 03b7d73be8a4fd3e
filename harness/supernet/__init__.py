"""The elastic network in whose weights all sub-networks live."""
