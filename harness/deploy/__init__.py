"""From points of a front to networks that run on the device."""
