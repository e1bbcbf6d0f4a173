import sys

import pytest
import torch
from torch import nn

import graphtask as gt
from graphtask.tracing.sources import load_module


def test_torchvision_models_are_seeded_and_leave_the_generator_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first, second = (load_module("torchvision:squeezenet1_1").state_dict() for _ in range(2))
    other = load_module("torchvision:squeezenet1_1", seed=1).state_dict()
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert not torch.equal(first["features.0.weight"], other["features.0.weight"])
    assert torch.equal(torch.get_rng_state(), before)


def test_nothing_is_downloaded_not_even_for_a_backbone(monkeypatch):
    def download(*_args, **_kwargs):
        raise AssertionError("a download")

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", download)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", download)
    assert isinstance(load_module("torchvision:lraspp_mobilenet_v3_large"), nn.Module)


def test_modules_classes_and_functions_of_the_current_folder_are_found(tmp_path, monkeypatch):
    code = "from torch import nn\nclass Net(nn.Linear):\n    def __init__(self):\n        super().__init__(3, 4)\n"
    (tmp_path / "nets_of_a_test.py").write_text(
        code + "def make():\n    return Net()\nNET = Net()\nTHREE = 3\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("Net", "make", "NET"):
        assert isinstance(load_module(f"nets_of_a_test:{name}"), nn.Linear)
    with pytest.raises(gt.errors.ArgumentError, match="THREE is of type int"):
        load_module("nets_of_a_test:THREE")
    with pytest.raises(gt.errors.ArgumentError, match="has no 'mak'; did you mean make"):
        load_module("nets_of_a_test:mak")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("torchvision:resnet19", "torchvision has no model 'resnet19'; did you mean resnet18"),
        ("torchvision:zzz", "see torchvision.models.list_models"),
        ("resnet18", "source must be torchvision:resnet18"),
        ("no_such_package_here:x", "'no_such_package_here' cannot be imported"),
        ("..:x", "cannot be imported"),
        ("torch.nn:Linear", r"torch.nn:Linear\(\) fails: .* missing 2 required positional arguments"),
        ("builtins:dict", r"builtins:dict\(\) gives a dict, not a torch.nn.Module"),
    ],
)
def test_names_without_a_module_are_one_clear_line(source, message):
    with pytest.raises(gt.errors.ArgumentError, match=message) as raised:
        load_module(source)
    assert "\n" not in str(raised.value)
