"""The twins: latency and accuracy of a network, predicted."""
