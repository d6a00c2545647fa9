"""Pub/Sub on a laptop: Google's emulator where it is installed, else an embedded one."""
