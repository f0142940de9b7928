"""Tests mirror the rooms, one folder each; `sim/` also holds the whole-system scenarios. They may import every room."""
