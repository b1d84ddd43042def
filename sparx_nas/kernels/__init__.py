"""The selective scan behind one function each, whatever computes it.

`reference` is the specification, `torch` the same in linear time on any device.
"""

from collections.abc import Callable, Mapping

from torch import Tensor

from sparx_nas.errors import DeviceError, did_you_mean
from sparx_nas.kernels import linear, reference

BACKENDS: Mapping[str, tuple[Callable[..., Tensor], Callable[..., Tensor]]] = {
    "torch": (linear.ss2d, linear.selective_scan),
    "reference": (reference.ss2d, reference.selective_scan),
}
"""Backends by name: (ss2d, selective_scan)."""


def ss2d(
    x: Tensor,
    x_proj_weight: Tensor,
    dt_projs_weight: Tensor,
    dt_projs_bias: Tensor,
    A_logs: Tensor,
    Ds: Tensor,
    *,
    backend: str = "auto",
) -> Tensor:
    """Scan a map in four directions and sum the results; x and the result are (B, H, W, D).

    x_proj_weight (4*(R+2N), D, 1), dt_projs_weight (4, D, R), dt_projs_bias (4, D), A_logs
    (4*D, N), Ds (4*D,): the parameters of the official model. H, W >= 1, any D, N and R.

    Raises: DeviceError for a backend that is not there.
    """
    scan = BACKENDS[resolve(backend)][0]
    return scan(x, x_proj_weight, dt_projs_weight, dt_projs_bias, A_logs, Ds)


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    delta_bias: Tensor,
    *,
    backend: str = "auto",
) -> Tensor:
    """Scan sequences in one direction with softplus(delta + delta_bias); y has the shape of u.

    u, delta (B, K*D, L); A (K*D, N), negative; B, C (B, K, N, L); D, delta_bias (K*D,).

    Raises: DeviceError for a backend that is not there.
    """
    return BACKENDS[resolve(backend)][1](u, delta, A, B, C, D, delta_bias)


def resolve(backend: str) -> str:
    """Return the backend that a name stands for; `auto` is the fastest there is.

    Raises: DeviceError for an unknown name.
    """
    if backend == "auto":
        return "torch"
    if backend not in BACKENDS:
        known = ", ".join(["auto", *BACKENDS])
        raise DeviceError(
            f"no kernel backend {backend!r}; there are {known}.{did_you_mean(backend, BACKENDS)}"
        )
    return backend
