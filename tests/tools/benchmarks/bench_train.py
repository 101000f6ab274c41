"""Time and memory of the default training run, from start to table and melodies.

python -m tests.tools.benchmarks.bench_train
"""

import resource
import subprocess
import sys
import tempfile
import time


def main():
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        command = [sys.executable, "-m", "agents.train", "--runs", folder, "--no-progress"]
        subprocess.run(command, check=True)
        wall = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # kilobytes on Linux
    print(f"\nwall {wall:.0f} s, peak memory {peak / 1e6:.2f} GB")


if __name__ == "__main__":
    main()
