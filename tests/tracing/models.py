"""Small modules whose graphs are known by hand."""

import torch
from torch import nn
from torch.nn import functional


class Skip(nn.Module):
    """x → a → relu → b, and x added."""

    def __init__(self, *, inplace=False):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)
        self.inplace = inplace

    def forward(self, x):
        hidden = self.b(functional.relu(self.a(x), inplace=self.inplace))
        if self.inplace:
            hidden += x
            return hidden
        return hidden + x


class WriteIntoView(nn.Module):
    """The first column of a(x) is overwritten in place by b(x)."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 4), nn.Linear(4, 1), nn.Linear(4, 4)

    def forward(self, x):
        hidden = self.a(x)
        column = hidden[:, :1]
        column.copy_(self.b(x))
        return self.c(hidden)


class Shared(nn.Module):
    """The same block twice, one after the other."""

    def __init__(self):
        super().__init__()
        self.block = Skip()

    def forward(self, x):
        return self.block(self.block(x))


class TwoInputs(nn.Module):
    """Two inputs, and a dict with a tuple as result; one tensor is computed in vain."""

    def __init__(self):
        super().__init__()
        self.left, self.right, self.vain = nn.Linear(4, 4), nn.Linear(3, 4), nn.Linear(4, 4)

    def forward(self, image, *, mask):
        left, right = self.left(image), self.right(mask)
        self.vain(left)
        return {"sum": left + right, "parts": (right, 3, None)}


class Functional(nn.Module):
    """No submodules: two matrix products with parameters, a scale, and x · x."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Parameter(torch.ones(4, 4)), nn.Parameter(torch.ones(4, 4))
        self.scale = nn.Parameter(torch.ones(4))
        self.register_buffer("shift", torch.ones(4))

    def forward(self, x):
        hidden = torch.relu(x @ self.first) * self.scale + self.shift
        return (hidden * hidden) @ self.second.t()


class DependsOnValues(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class UNet(nn.Module):
    """Halved twice, doubled twice, with a skip connection."""

    def __init__(self):
        super().__init__()
        self.down1 = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.down2 = nn.Conv2d(4, 4, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(4, 4, 2, stride=2)
        self.head = nn.Conv2d(8, 1, 1)

    def forward(self, x):
        high = self.down1(x)
        low = self.up(self.down2(high))
        return functional.interpolate(self.head(torch.cat([high, low], dim=1)), scale_factor=2)


class SqueezeExcite(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.squeeze, self.last = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)

    def forward(self, x):
        x = self.conv(x)
        return self.last(x * torch.sigmoid(self.squeeze(x.mean((2, 3), keepdim=True))))


class Remembers(nn.Module):
    """Keeps things between calls."""

    def __init__(self):
        super().__init__()
        self.layer, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(4)
        self.calls, self.seen = 0, []
        self.register_buffer("total", torch.zeros(4))

    def forward(self, x):
        self.calls += 1
        self.last = self.layer(x)
        self.seen.append(self.last)
        self.total += self.last.sum(0)
        return self.norm(self.last) + torch.rand(4)


def make_skip():
    return Skip()


INSTANCE = Skip()
NUMBER = 3
