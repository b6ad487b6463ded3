"""The forms that a batch may have."""
