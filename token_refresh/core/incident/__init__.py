"""What the world is told: events, when an incident begins and ends, and the words."""
