"""stub"""


def compile_seconds() -> float:
    return 0.0
