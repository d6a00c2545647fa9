"""The same infrastructure on a laptop: `python -m infra.local up`, `python -m infra.local demo`."""
