"""Blocks and heads of compiled graphs: the built-in ones by name, and `register` for others; reached as ``graphtask.blocks``.

Example:
    >>> import graphtask as gt
    >>> list(gt.blocks.BLOCKS)[:4]
    ['standard', 'simple', 'residual', 'separable']
"""

from graphtask.compiler.blocks import ConvBlock, DenseHead, Head
from graphtask.compiler.library import (
    BLOCKS,
    HEADS,
    GeometricBlock,
    Residual,
    Transformer,
    geometric,
    register,
)

__all__ = [
    "BLOCKS",
    "HEADS",
    "ConvBlock",
    "DenseHead",
    "GeometricBlock",
    "Head",
    "Residual",
    "Transformer",
    "geometric",
    "register",
]
