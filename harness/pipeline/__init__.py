"""One file for each command: its steps in order, resumable. `steps` has those of the main job.

Nothing is imported here: a command loads what it needs.
"""
