"""The page of a stream recipe: what it is made from, and its sections."""
