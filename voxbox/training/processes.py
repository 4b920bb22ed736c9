"""One or several training processes: started by torchrun, or this one alone."""

import os
from dataclasses import dataclass

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class Processes:
    """rank: which of `count` this process is; the first one (`leads`) writes files and reports."""

    rank: int
    count: int
    device: torch.device

    @classmethod
    def join(cls) -> "Processes":
        """Join the processes that torchrun started (its RANK, WORLD_SIZE, LOCAL_RANK); nccl on CUDA, gloo on CPUs."""
        local = int(os.environ.get("LOCAL_RANK", 0))
        device = torch.device("cuda", local) if torch.cuda.is_available() else torch.device("cpu")
        if device.type == "cuda":
            torch.cuda.set_device(device)
        if "WORLD_SIZE" not in os.environ:
            return cls(0, 1, device)
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        return cls(distributed.get_rank(), distributed.get_world_size(), device)

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def share(self, network: nn.Module) -> nn.Module:
        """The network with gradients averaged over the processes."""
        return network if self.count == 1 else DistributedDataParallel(network)

    def agree(self, *values: float) -> list[float]:
        """The leading process's values, in every process."""
        if self.count == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        distributed.broadcast(tensor, 0)
        return tensor.tolist()

    def wait(self) -> None:
        """Until all processes are here."""
        if self.count > 1:
            distributed.barrier()

    def leave(self) -> None:
        if self.count > 1:
            distributed.destroy_process_group()
