"""Measurements of mistdata beside what bounds it; see README.md."""
