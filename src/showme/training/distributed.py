"""Several processes: plain replicas (DDP), or weights, gradients and moments in shards (FSDP2).

``accelerate launch --multi_gpu`` gives replicas, ``accelerate launch --use_fsdp --fsdp_version 2`` shards. Accelerate
shards on accelerators only; sharding here goes through torch's ``fully_shard`` on every device, so that what runs on
eight GPUs is what the tests run on two CPU processes.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

from accelerate import Accelerator
from torch import Tensor, distributed, nn
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from ..errors import InputError


def start() -> tuple[Accelerator, bool]:
    """The accelerator of this process, and whether the launcher asked for shards.

    Its precision stays fp32: it is one for the whole process, while two runs in it may differ. The trainer's own
    autocast follows the run's settings.

    Raises:
        InputError: FSDP of another version than 2.
    """
    sharded = os.environ.pop("ACCELERATE_USE_FSDP", "false").lower() in ("true", "1")
    if sharded and os.environ.get("FSDP_VERSION", "1") != "2":
        raise InputError("Sharded training is FSDP2: launch with --use_fsdp --fsdp_version 2.")
    accelerator = Accelerator(mixed_precision="no")
    sharded = sharded and accelerator.num_processes > 1
    if accelerator.num_processes > 1:
        atexit.register(_leave_group, sharded)
    return accelerator, sharded


def _leave_group(sharded: bool) -> None:
    """End the group's threads before the interpreter ends.

    A thread that still holds a tensor of the last exchange while the interpreter is taken down aborts the process:
    rarely, on busy machines, after everything was saved.
    """
    # After an error the other processes may never answer what this one still waits for.
    if distributed.is_initialized() and not hasattr(sys, "last_value"):
        gc.collect()
        distributed.destroy_process_group()
        if sharded:
            # DTensor's own caches keep the group and with it the threads; without the interpreter's lock held here,
            # they drop what they hold.
            time.sleep(0.2)


def own(objective: nn.Module, name: str, default: Any) -> Any:
    """What an objective says of itself, or a default where it says nothing; an error in its answer is no silence."""
    says = hasattr(type(objective), name) or name in vars(objective)
    return getattr(objective, name) if says else default


def distribute(objective: nn.Module, accelerator: Accelerator, sharded: bool) -> nn.Module:
    """``objective`` on this process's device, replicated or in shards.

    Args:
        objective: its ``shard_units``, modules that are gathered and freed one at a time, become shards of their own;
            its ``takes_turns`` says whether a step leaves some of its parameters without gradients.
        accelerator: of :func:`start`.
        sharded: of :func:`start`.
    """
    # An objective may have parts that wait elsewhere until it is their turn.
    own(objective, "place", objective.to)(accelerator.device)
    if sharded:
        for parameter in objective.parameters():
            # Shards are cut along the first axis: channels-last kernels must be laid out plainly.
            parameter.data = parameter.data.contiguous()
        for unit in own(objective, "shard_units", ()):
            fully_shard(unit)
        fully_shard(objective)
        return objective
    if accelerator.num_processes > 1:
        on_gpu = accelerator.device.type == "cuda"
        return DistributedDataParallel(
            objective,
            device_ids=[accelerator.local_process_index] if on_gpu else None,
            find_unused_parameters=own(objective, "takes_turns", False),
        )
    return objective


@contextlib.contextmanager
def gradients_stay(model: nn.Module, local: bool) -> Iterator[None]:
    """While open and ``local``, backward passes add up in this process alone: all but the last part of a step."""
    if local and isinstance(model, DistributedDataParallel):
        with model.no_sync():
            yield
        return
    if isinstance(model, FSDPModule):
        model.set_requires_gradient_sync(not local)
    yield


def whole(tensor: Tensor) -> Tensor:
    """A tensor as one piece: shards are gathered, and every process must ask at the same time."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def fill(tensor: Tensor, value: Tensor) -> None:
    """Copy a whole value into a tensor or into its shards."""
    if isinstance(tensor, DTensor):
        value = distribute_tensor(value.to(tensor.device, tensor.dtype), tensor.device_mesh, tensor.placements)
    tensor.data.copy_(value)
