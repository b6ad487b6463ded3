"""Evidently 0.7 uses names that numpy and Python have retired: importing it warns, which is not ours to mend."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import evidently.presets  # noqa: F401
