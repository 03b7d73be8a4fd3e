"""Finding the Pareto front with predicted latency and accuracy; no torch."""
