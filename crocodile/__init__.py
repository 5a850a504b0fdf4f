"""Crocodile's command line."""
