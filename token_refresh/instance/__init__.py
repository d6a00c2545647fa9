"""What dies with the process."""
