"""Lets PyPI's torchvision wheel import beside a CPU build of torch.

That wheel is built for CUDA: its compiled operators need libraries that a CPU build of torch does
not have, so they stay unregistered, and torchvision fails on import where it describes two of
them. Declaring these two is enough; they have no implementation, and a call still fails.

A `.pth` file imports this module whenever Python starts, so it imports nothing itself and does
nothing until somebody imports torchvision.
"""

import sys


class DeclareOperators:
    """An import hook that finds no module: it acts just before torchvision is looked for."""

    def find_spec(self, name: str, *_: object) -> None:
        """Declare the operators once, and leave the finding to the next hook."""
        if name == "torchvision":
            sys.meta_path.remove(self)
            import torch

            if torch.version.cuda is not None:  # the wheel's own operators load
                return
            schema = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            torch.library.define("torchvision::nms", schema)
            torch.library.define("torchvision::qnms", schema)


sys.meta_path.insert(0, DeclareOperators())
