"""Applying a finished model to other samples, and saying how far that can be trusted."""
