"""A way to train a wiring for a comparison, and the wirings that are compared."""

from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True)
class Setting:
    """How a wiring is trained; what is left out is as below. `images` 0 are all."""

    space: str = "mamba_t"
    data: str = "digits"
    images: int = 0
    epochs: int = 4
    batch: int = 48
    pixels: int = 16
    width: float = 0.25
    stem_stride: int = 2
    lr: float = 3e-3
    warmup: float = 0.2
    smoothing: float = 0.1
    drop_path: float = 0.0
    augment: bool = True

    @property
    def name(self) -> str:
        """Spell the space and what differs from the default."""
        told = asdict(self)
        rest = [
            f"{f.name}={told[f.name]}"
            for f in fields(self)
            if f.name != "space" and told[f.name] != f.default
        ]
        return " ".join([f"space={self.space}", *rest])


def read(words: str) -> Setting:
    """Read `space=swin_t lr=0.001 augment=0`."""
    kinds = {f.name: type(f.default) for f in fields(Setting)}
    given = dict(word.split("=", 1) for word in words.split())
    unknown = sorted(set(given) - set(kinds))
    if unknown:
        raise SystemExit(f"no such settings: {', '.join(unknown)}; known are {', '.join(kinds)}")
    truth = {"0": False, "1": True, "False": False, "True": True}
    return Setting(**{k: truth[v] if kinds[k] is bool else kinds[k](v) for k, v in given.items()})
