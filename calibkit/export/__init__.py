"""What leaves calibkit for other tools: subsets as files and modules that those tools read."""
