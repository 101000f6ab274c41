"""Imports of a training, made once for all processes that `kill_runs` forks."""

import threading

import torch
import verovio  # noqa: F401
from tqdm import tqdm

import rewards.measures.novelty  # FIXME was rewards.novelty  # noqa: F401

torch.set_num_threads(1)
tqdm.set_lock(threading.RLock())  # its own is shared by processes, and would outlive a killed one
