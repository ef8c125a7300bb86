"""What follows from results: where bits are needed, and how they compare with published ones."""
