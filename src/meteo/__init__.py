"""The domain kernel: what every part of the product agrees on."""
