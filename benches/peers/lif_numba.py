"""A hand-fused LIF scan on one CPU thread, in numba: a strong baseline for the CPU backend.

    pip install numba
    python lif_numba.py [--repeats 31]

Forward and backward of a LIF neuron over x[T, B, N], float32, with the membrane h kept for one
pass back. Soft reset, theta = 1, beta = 0.9, ATan surrogate with alpha = 2:

    h[t] = beta v[t-1] + x[t],   s[t] = [h[t] >= theta],   v[t] = h[t] - theta s[t]
    sg(d) = (alpha / 2) / (1 + (pi / 2 alpha d)^2) = 1 / (1 + (pi d)^2),   d = h[t] - theta
    gx[t] = gs[t] sg + beta gx[t+1] (1 - theta sg)

The gradient passes through the reset. The cotangent gs is random, the gradient is that of x, and
x is normal noise with a standard deviation that gives about one spike in ten.

How it is made fast: t outside, all B * N neurons of a time step inside, so each array is read or
written once, front to back. Blocks of neurons with t inside, and arrays of their own for v and the
carry instead of the neighbouring row, which is still in the cache, were no faster at any shape. The
loop over a row is a function of its own, as numba does not vectorise it reliably inside the loop
over time. Buffers are allocated once and reused.

fastmath is off (no contraction to fma, IEEE division), so the results equal NumPy's bit for bit,
which is checked before timing. error_model="numpy" costs no accuracy: without it numba tests each
divisor for zero, and the backward row is not vectorised (2.3 to 4 times slower in all).

One JSON line a shape, with medians over the repeats of a forward and a backward pass together:
process CPU time (nearly insensitive to other jobs on the machine) and wall time.
"""

import argparse
import json
import statistics
import time

import numpy as np
from numba import njit

SHAPES = [(16, 64, 512), (64, 32, 1024), (256, 16, 1024), (1024, 8, 512)]
INPUT_STD = 0.85

BETA = np.float32(0.9)
THETA = np.float32(1.0)
PI = np.float32(np.pi)  # pi / 2 alpha, with alpha = 2
ZERO = np.float32(0.0)
ONE = np.float32(1.0)


def compiled(function):
    return njit(fastmath=False, error_model="numpy")(function)


@compiled
def forward_row(h_before, x, h, s):
    for j in range(len(x)):
        v = h_before[j]
        v = v - THETA if v >= THETA else v
        m = v * BETA + x[j]
        h[j] = m
        s[j] = ONE if m >= THETA else ZERO


@compiled
def backward_row(gx_after, h, gs, gx):
    for j in range(len(h)):
        d = (h[j] - THETA) * PI
        sg = ONE / (ONE + d * d)
        gx[j] = gs[j] * sg + gx_after[j] * BETA * (ONE - THETA * sg)


@compiled
def forward(x, s, h, zeros):
    forward_row(zeros, x[0], h[0], s[0])
    for t in range(1, len(x)):
        forward_row(h[t - 1], x[t], h[t], s[t])


@compiled
def backward(h, gs, gx, zeros):
    last = len(h) - 1
    backward_row(zeros, h[last], gs[last], gx[last])
    for k in range(1, len(h)):
        t = last - k
        backward_row(gx[t + 1], h[t], gs[t], gx[t])


def buffers(shape, seed):
    """x, gs, room for s, h and gx, all [T, B * N], and a row of zeros."""
    rng = np.random.default_rng(seed)
    steps, batch, features = shape
    flat = (steps, batch * features)
    x = rng.standard_normal(flat, dtype=np.float32) * np.float32(INPUT_STD)
    gs = rng.standard_normal(flat, dtype=np.float32)
    return x, gs, np.zeros_like(x), np.zeros_like(x), np.zeros_like(x), np.zeros_like(x[0])


def check():
    """Both passes against plain NumPy in float32, bit for bit."""
    x, gs, s, h, gx, zeros = buffers((20, 3, 37), seed=1)
    forward(x, s, h, zeros)
    backward(h, gs, gx, zeros)
    v = zeros
    for t in range(len(x)):
        m = v * BETA + x[t]
        fired = (m >= THETA).astype(np.float32)
        v = m - fired * THETA
        np.testing.assert_array_equal(h[t], m)
        np.testing.assert_array_equal(s[t], fired)
    carry = zeros
    for t in reversed(range(len(x))):
        d = (h[t] - THETA) * PI
        sg = ONE / (ONE + d * d)
        g = gs[t] * sg + carry * (ONE - THETA * sg)
        np.testing.assert_array_equal(gx[t], g)
        carry = g * BETA


def measure(shape, repeats):
    x, gs, s, h, gx, zeros = buffers(shape, seed=0)
    cpu, wall = [], []
    for k in range(repeats + 3):
        wall_start, cpu_start = time.perf_counter(), time.process_time()
        forward(x, s, h, zeros)
        backward(h, gs, gx, zeros)
        cpu_end, wall_end = time.process_time(), time.perf_counter()
        if k >= 3:
            cpu.append((cpu_end - cpu_start) * 1e3)
            wall.append((wall_end - wall_start) * 1e3)
    return {
        "program": "numba",
        "shape": list(shape),
        "cpu_ms": round(statistics.median(cpu), 4),
        "wall_ms": round(statistics.median(wall), 4),
        "rate": round(float(s.mean()), 4),
    }


def main():
    parser = argparse.ArgumentParser(description="a fused LIF scan in numba, on one thread")
    parser.add_argument("--repeats", type=int, default=31, help="timed repeats of each shape")
    repeats = parser.parse_args().repeats
    check()
    for shape in SHAPES:
        print(json.dumps(measure(shape, repeats)), flush=True)


if __name__ == "__main__":
    main()
