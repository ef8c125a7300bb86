"""What was found, for people: figures and pages made from what the store says."""
