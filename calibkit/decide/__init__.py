"""What to do, on the evidence: which quantizers need more bits."""
