"""The gateway's routes; each only translates."""
