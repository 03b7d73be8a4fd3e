"""What int8 networks take of a microcontroller's memory, in bytes, without one."""
