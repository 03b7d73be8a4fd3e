"""How commands and files get to a device."""
