"""What is sent to a token endpoint, and what its answer means: whose fault, what remedy."""
