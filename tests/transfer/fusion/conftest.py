"""One thread: the same arithmetic on every machine."""

import torch

torch.set_num_threads(1)
