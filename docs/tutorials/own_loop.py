# %% [markdown]
# # Your own block, loss and data
#
# A compiled graph is a `torch.nn.Module`; everything around it can be yours.

# %%
import graphtask as gt
import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

torch.manual_seed(0)
torch.set_num_threads(1)

# %% [markdown]
# ## Data
#
# Data are arrays of images and labels; a fifth of every class is held out as test images. These are noisy images with
# a line in one of three directions. [Custom data](../data.md) lists all other forms.

# %%
random = np.random.default_rng(0)
rows, columns = np.indices((12, 12))
lines = {"horizontal": rows, "vertical": columns, "diagonal": rows - columns + 6}


def image(name):
    return 0.3 * random.random((12, 12)) + 0.7 * (lines[name] == random.integers(3, 9))


labels = random.choice(list(lines), 400)
data = gt.load_data((np.stack([image(name) for name in labels]), labels))
data.x_train.shape, data.class_names

# %% [markdown]
# ## Block
#
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
net = gt.compile(graph, channels=8, in_channels=1, n_classes=3, block=separable)
sum(parameter.numel() for parameter in net.parameters())

# %% [markdown]
# ## Loss and loop
#
# Cross-entropy with smoothed labels; the penalty on the edges is `net.resource_loss()`.


# %%
def tensors(images, classes):
    return torch.tensor(images).permute(0, 3, 1, 2) / 255, torch.tensor(classes)


x, y = tensors(data.x_train, data.y_train)
optimizer = torch.optim.AdamW(net.parameters(), lr=0.02)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 120)
for step in range(120):
    batch = torch.randint(len(x), (32,))
    optimizer.zero_grad()
    loss = cross_entropy(net(x[batch]), y[batch], label_smoothing=0.1)
    (loss + 0.005 * net.resource_loss()).backward()
    optimizer.step()
    schedule.step()

net.eval()
x, y = tensors(data.x_test, data.y_test)
f"accuracy on {len(y)} test images: {(net(x).argmax(dim=1) == y).float().mean():.3f}"

# %% [markdown]
# ## The graph
#
# Write the weights back into the graph, and use every tool for graphs.

# %%
trained = gt.compiler.write_back(net, graph)
gt.draw(gt.prune(trained, threshold=0.05))

# %% [markdown]
# `gt.train(graph, data=data, block=separable)` trains with the same block and data in a run folder, without a loop of
# your own.
