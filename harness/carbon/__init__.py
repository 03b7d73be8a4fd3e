"""What finding, training and using networks costs: energy, CO2e and money."""
