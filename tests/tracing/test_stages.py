import pytest
import torch
from torch import nn
from tracing.models import SqueezeExcite, UNet

import graphtask as gt


def stages(module, example, **options):
    graph = gt.trace(module, example, **options)
    return dict(zip(graph.vs["name"], graph.vs["stage"], strict=True))


@pytest.mark.parametrize("size", [32, 33, 35, 28, (32, 64)])
def test_the_stage_counts_halvings_also_of_sizes_that_are_odd(size):
    height, width = size if isinstance(size, tuple) else (size, size)
    strides = (1, 2, 1, 2, 4, 2)
    net = nn.Sequential(*(nn.Conv2d(3, 3, 3, stride=stride, padding=1) for stride in strides))
    found = stages(net, torch.zeros(2, 3, height, width))
    assert found == {"input": 0, "0": 0, "1": 1, "2": 1, "3": 2, "4": 4, "5": 5}


def test_a_border_that_is_cut_off_is_no_halving():
    lenet = nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.AvgPool2d(2), nn.Flatten()
    )
    lenet.append(nn.Linear(256, 10))
    assert stages(lenet, torch.zeros(1, 1, 28, 28)) == {"input": 0, "0": 0, "2": 1, "5": 2}


def test_what_is_resized_counts_by_its_size():
    class Resized(nn.Module):
        def __init__(self):
            super().__init__()
            self.convs = nn.ModuleList(nn.Conv2d(3 if i < 3 else 12, 3, 1) for i in range(4))

        def forward(self, x):
            x = self.convs[0](nn.functional.interpolate(x, scale_factor=0.5, mode="bilinear"))
            x = self.convs[1](nn.functional.adaptive_avg_pool2d(x, 8))
            x = self.convs[2](nn.functional.interpolate(x, scale_factor=4))
            return self.convs[3](nn.functional.pixel_unshuffle(x, 2))

    found = stages(Resized(), torch.zeros(1, 3, 64, 64))
    assert found == {"input": 0, "convs.0": 1, "convs.1": 3, "convs.2": 3, "convs.3": 3}


def test_going_down_again_after_going_up_counts_from_where_it_is():
    down = [nn.Conv2d(3, 3, 2, stride=2) for _ in range(4)]
    net = nn.Sequential(
        *down[:2], nn.ConvTranspose2d(3, 3, 2, stride=2), nn.Upsample(scale_factor=2), *down[2:]
    )
    net.append(nn.Conv2d(3, 3, 2, stride=2))
    found = stages(net, torch.zeros(1, 3, 64, 64))
    assert list(found.values()) == [0, 1, 2, 2, 2, 2, 3]


def test_pooling_counts_where_the_next_layer_reads_it():
    net = nn.Sequential(
        nn.Conv2d(3, 3, 1), nn.MaxPool2d(2), nn.Conv2d(3, 3, 1), nn.AvgPool2d(4), nn.Conv2d(3, 3, 1)
    )
    assert stages(net, torch.zeros(1, 3, 32, 32)) == {"input": 0, "0": 0, "2": 1, "4": 3}


def test_the_tail_without_pixels_keeps_the_last_stage():
    net = nn.Sequential(nn.Conv2d(3, 4, 2, stride=2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    assert stages(net, torch.zeros(1, 3, 32, 32)) == {"input": 0, "0": 1, "3": 1}


def test_squeeze_and_excitation_changes_no_stage():
    assert set(stages(SqueezeExcite(), torch.zeros(1, 3, 32, 32)).values()) == {0}


def test_a_network_that_upsamples_stays_in_its_last_stage():
    expected = {"input": 0, "down1": 1, "down2": 2, "up": 2, "cat": 2, "head": 2}
    assert stages(UNet(), torch.zeros(1, 3, 32, 32)) == expected


def test_signals_and_videos_are_halved_along_all_their_dimensions():
    signal = nn.Sequential(nn.Conv1d(3, 4, 2, stride=2), nn.Conv1d(4, 4, 4, stride=4))
    assert stages(signal, torch.zeros(1, 3, 64)) == {"input": 0, "0": 1, "1": 3}
    video = nn.Sequential(nn.Conv3d(3, 4, 2, stride=2), nn.Conv3d(4, 4, 1))
    assert stages(video, torch.zeros(1, 3, 8, 16, 16)) == {"input": 0, "0": 1, "1": 1}


def test_tokens_and_tables_have_one_stage():
    tokens = nn.Sequential(nn.Embedding(10, 8), nn.Linear(8, 2))
    assert set(stages(tokens, torch.zeros(1, 64, dtype=torch.int64)).values()) == {0}
    table = nn.Sequential(nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
    assert set(stages(table, torch.zeros(2, 64)).values()) == {0}


def test_tokens_that_a_linear_layer_makes_of_an_image_are_in_its_stage():
    class Patches(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.mix, self.head = nn.Linear(192, 24), nn.Linear(16, 16), nn.Linear(24, 2)

        def forward(self, images):
            tokens = images.unfold(2, 8, 8).unfold(3, 8, 8).permute(0, 2, 3, 1, 4, 5).reshape(1, 16, 192)
            tokens = self.embed(tokens)
            return self.head(self.mix(tokens.transpose(1, 2)).transpose(1, 2))

    found = stages(Patches(), torch.zeros(1, 3, 32, 32))
    assert found == {"input": 0, "embed": 3, "mix": 3, "head": 3}


def test_grids_with_the_channels_last_are_halved_by_linear_layers():
    class Merging(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.merge = nn.Conv2d(3, 4, 4, stride=4), nn.Linear(16, 8)

        def forward(self, images):
            grid = self.embed(images).permute(0, 2, 3, 1)
            corners = [grid[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]
            return self.merge(torch.cat(corners, dim=-1))

    assert stages(Merging(), torch.zeros(1, 3, 32, 32)) == {"input": 0, "embed": 2, "merge": 3}


def test_a_block_that_returns_several_resolutions_does_not_make_the_stage_fall():
    class Pyramid(nn.Module):
        def __init__(self):
            super().__init__()
            self.high, self.low = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 2, stride=2)

        def forward(self, x):
            return self.high(x), self.low(self.high(x))

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = Pyramid(), nn.Conv2d(3, 3, 1)

        def forward(self, x):
            high, _ = self.body(x)
            return self.head(high), _

    graph = gt.trace(Net(), torch.zeros(1, 3, 32, 32), granularity="block", blocks=["Pyramid"])
    gt.check_graph(graph)
    assert graph.vs.find("head")["stage"] == 1


@pytest.mark.parametrize("fused", [False, True])
def test_attention_to_pooled_keys_does_not_add_their_halvings_up(fused):
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.pool = nn.Conv2d(3, 3, 4, stride=4)

        def forward(self, x):
            queries, keys = x.flatten(2).transpose(1, 2), self.pool(x).flatten(2).transpose(1, 2)
            if fused:
                mixed = nn.functional.scaled_dot_product_attention(queries, keys, keys)
            else:
                mixed = (queries @ keys.transpose(1, 2)).softmax(-1) @ keys
            return mixed.transpose(1, 2).reshape(x.shape)

    net = nn.Sequential(
        nn.Conv2d(3, 3, 1), Attention(), Attention(), Attention(), nn.Conv2d(3, 3, 2, stride=2)
    )
    found = stages(net, torch.zeros(1, 3, 32, 32), granularity="layer")
    assert found == {"input": 0, "0": 0, "1.pool": 2, "2.pool": 2, "3.pool": 2, "4": 2}
