# %% [markdown]
# # Your own block, loss and loop
#
# A compiled graph is a `torch.nn.Module`; everything around it can be yours.

# %%
import graphtask as gt
import torch
from torch import nn
from torch.nn.functional import mse_loss

torch.manual_seed(0)
torch.set_num_threads(1)

# %% [markdown]
# A block is any callable of `(in_channels, out_channels, stride)` that returns a module. This one is depthwise
# separable.

# %%
def separable(in_channels, out_channels, stride):
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(in_channels, in_channels, 3, stride=stride, padding=1, groups=in_channels, bias=False),
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        nn.BatchNorm2d(out_channels),
    )


graph = gt.full_dag(8, stages=2)
net = gt.compile(graph, channels=8, in_channels=1, n_classes=1, block=separable)
sum(parameter.numel() for parameter in net.parameters())

# %% [markdown]
# Regression on synthetic images: predict the mean brightness. The penalty on the edges is `net.resource_loss()`.

# %%
images = torch.rand(128, 1, 12, 12) * torch.rand(128, 1, 1, 1)
target = images.mean(dim=(1, 2, 3), keepdim=False)[:, None]
optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
for step in range(40):
    optimizer.zero_grad()
    loss = mse_loss(net(images), target)
    (loss + 0.002 * net.resource_loss()).backward()
    optimizer.step()
float(loss)

# %% [markdown]
# Write the weights back into the graph, and use every tool for graphs.

# %%
trained = gt.compiler.write_back(net, graph)
gt.draw(gt.prune(trained, threshold=0.05))
