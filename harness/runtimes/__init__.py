"""What executes a workload on a device."""
