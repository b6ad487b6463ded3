"""The demo source: simulated weather served in BOM's own file format."""
