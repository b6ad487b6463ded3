"""`python -m train`: see `train.cli`."""

from train.cli import app

if __name__ == "__main__":
    app()
