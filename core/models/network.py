"""The network that looks at gene-images: a torchvision backbone, cut into stages, and a head."""

from core.models.spec import NetworkSpec

__all__ = ["NetworkSpec"]
