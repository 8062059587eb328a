"""An example of each residual term: one file each, named as the registry names the term.

Each has `make(problem, rng, off) -> Term`: what is known of the problem's own state, off by `off` times some noise.
`MADE` is made of the files, so a term that is added has its own beside these.
"""

from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules

from ba.model.terms import Term

MADE: dict[str, Callable[..., Term]] = {
    module.name: import_module(f"{__name__}.{module.name}").make for module in iter_modules(__path__)
}
