"""The version, in one place beside pyproject.toml (a test compares them)."""

__version__ = "0.1.0"
