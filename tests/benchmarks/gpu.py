"""Check and time the GPU kernels in one command; writes a JSON record a part into a folder.

`python tests/benchmarks/gpu.py --out FOLDER [--minutes 8] [--peers FOLDER] [--parts ...]` needs
torch, Triton, numpy and timm. Parts run in order of their worth until the minutes are up; one that
fails is told in the table at the end and stops no other. `--dry-run` goes through every line on a
CPU, with tiny shapes and Triton's interpreter. `--peers` holds a checkout `VMamba` whose CUDA scan
is built beside the first parts; peers.py says more. An older state of the package is measured by
putting it first on PYTHONPATH.

Values are compared with float64, as the norm of the difference over the norm of what is expected,
with fresh inputs and outputs that are poisoned before; only then is anything timed.
"""

import argparse
import json
import os
import sys
import time
import traceback
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent
if "--dry-run" in sys.argv:
    os.environ["TRITON_INTERPRET"] = "1"
sys.path += [str(HERE), str(HERE.parent.parent)]

import torch  # noqa: E402
from gpu_parts.common import BOOK, DRY, LINES  # noqa: E402
from gpu_parts.cores import ceilings, cores, vmamba  # noqa: E402
from gpu_parts.steps import profiled, training, trials  # noqa: E402
from gpu_parts.tiles import sweep  # noqa: E402
from gpu_parts.values import check  # noqa: E402
from gpu_parts.vmamba import start_build  # noqa: E402

import sparx_nas  # noqa: E402


def about() -> dict:
    """Return the device and the versions."""
    names = ("torch", "triton", "numpy", "timm")
    found = {"device": "cpu, dry run", "versions": {n: version(n) for n in names}}
    if not DRY:
        p = torch.cuda.get_device_properties(0)
        found |= {
            "device": p.name,
            "multiprocessors": p.multi_processor_count,
            "l2_bytes": p.L2_cache_size,
        }
        found["cuda"] = torch.version.cuda
    return found | {
        "python": sys.version.split()[0],
        "package": str(Path(sparx_nas.__file__).parent),
    }


def main() -> None:
    """Run the parts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--peers", type=Path)
    parser.add_argument("--parts", nargs="+")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--write-tiles", action="store_true")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    end = start + 60 * args.minutes
    torch.manual_seed(int.from_bytes(os.urandom(4)))
    building = start_build(args.peers, args.out)
    parts = {
        "check": check,
        "sweep": lambda: sweep(args.out, args.write_tiles),
        "ss2d": lambda: cores(end),
        "vmamba": lambda: vmamba(building, args.peers, end),
        "training": lambda: training(end),
        "profile": profiled,
        "trials": trials,
    }
    about_now = about()
    print(json.dumps(about_now), flush=True)
    for name, part in {"ceilings": ceilings, **parts}.items():
        if args.parts and name not in (*args.parts, "ceilings"):
            continue
        begun = time.monotonic()
        if begun > end:
            BOOK["short"].append(f"no time for {name}")
            continue
        try:
            record = part()
        except Exception:
            traceback.print_exc()
            BOOK["failed"].append(f"{name}: {traceback.format_exc().splitlines()[-1][:300]}")
            record = {"failed": traceback.format_exc()[-3000:]}
        record = {
            "benchmark": f"gpu {name}",
            **about_now,
            "seconds": round(time.monotonic() - begun, 1),
        } | record
        (args.out / f"gpu_{name}.json").write_text(json.dumps(record, indent=1) + "\n")
        print(f"[{name} {record['seconds']} s, {end - time.monotonic():.0f} s left]", flush=True)
    print("\n" + "\n".join(LINES))
    for kind, told in BOOK.items():
        print(f"{kind}: " + ("; ".join(told) if told else "nothing"))


if __name__ == "__main__":
    main()
