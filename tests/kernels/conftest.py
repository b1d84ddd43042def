"""What tests of compiled kernels share."""

from dataclasses import replace

import pytest

from sparx_nas import kernels
from sparx_nas.kernels import convolution, cpu, library
from sparx_nas.kernels.fused import part

SETS = library.library().sets if not kernels.missing("cpu") else ()


@pytest.fixture(params=SETS)
def instruction_set(request, monkeypatch):
    """Let the library use one of its instruction sets."""
    names = [
        library.library().handle.sparx_set_name(i).decode()
        for i in range(library.library().handle.sparx_sets())
    ]
    chosen = replace(library.library(), chosen=names.index(request.param))
    for module in (cpu, convolution, part):
        monkeypatch.setattr(module, "library", lambda: chosen)
    return request.param
