"""What an installation with base dependencies alone must do; the argument is how the native core must be reported."""

import importlib.util
import json
import subprocess
import sys
from importlib import resources

import numpy as np

import grokkit as gk

assert importlib.util.find_spec("torch") is None, "torch must not be there"
assert importlib.util.find_spec("scipy") is None
a, b = np.arange(35).reshape(5, 7), np.arange(21).reshape(7, 3)
assert (gk.matmul(a, b) == a @ b).all()
assert (gk.matmul(a, b, scheme="strassen", levels=2) == a @ b).all()
assert gk.verify(gk.expand(gk.catalog["strassen"], 2)).rank == 49
rng = np.random.default_rng(0)
u, v, w = (rng.standard_normal(shape) for shape in ((7, 4), (7, 4), (4, 7)))
found = gk.crystallize((u, v, w))
scheme = found[0].scheme
assert found.exact == 1 and scheme is not None
assert gk.equivalent(scheme, gk.catalog["winograd"])
gk.save(scheme, "found.json", found[0].certificate)
assert gk.load("found.json") == scheme
assert "torch" not in sys.modules


def cli(*arguments):
    return subprocess.run([sys.executable, "-m", "grokkit", *arguments], capture_output=True, text=True)


assert cli("verify", "found.json").returncode == 0
report = json.loads(cli("doctor", "--json").stdout)
assert report["healthy"] and report["lab"]["torch"] is None, report
trained = cli("train", "--runs", "2", "--steps", "50", "--retrain-steps", "50", "--out", "runs")
if report["native_core"].startswith("loaded"):
    assert trained.returncode == 0, trained
    assert cli("crystallize", "runs").returncode == 0
else:
    assert trained.returncode == 2 and "pip install 'grokkit[lab]'" in trained.stderr, trained

standalone = resources.files("grokkit.scheme") / "verify_standalone.py"
command = [sys.executable, "-I", "-S", str(standalone), "found.json"]
done = subprocess.run(command, capture_output=True, text=True)
assert done.returncode == 0 and scheme.digest in done.stdout, done
assert report["native_core"].startswith(sys.argv[1]), report["native_core"]
print("ok:", report["native_core"])
