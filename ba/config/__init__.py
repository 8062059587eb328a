"""Configuration files: from YAML text to checked values, and what each key must be, in words."""
