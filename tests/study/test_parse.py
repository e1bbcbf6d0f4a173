import os
import time

import pytest

import graphtask as gt


@pytest.fixture
def load(tmp_path):
    """Load a study file that consists of these lines, and of what every study needs."""

    def load(text, *, priors="[priors.full]\nnodes = 6\n", data="[data.cdigits]\n", **options):
        path = tmp_path / "study.toml"
        path.write_text(text + "\n" + priors + data)
        return gt.Study.read(path, **options)

    return load


def test_a_study_is_every_prior_on_every_data_set_from_every_seed_one_seed_first(load):
    study = load(
        "seeds = [3, 1]",
        priors="[priors.full]\nnodes = 6\n[priors.thin]\nkind = 'banded'\nnodes = 6\nbandwidth = 2\n",
        data="[data.cdigits]\n[data.cdigits_t8]\n",
    )
    assert [job.name for job in study.jobs] == [
        f"{data}/{prior}/seed-{seed}"
        for seed in (3, 1)
        for data in ("cdigits", "cdigits_t8")
        for prior in ("full", "thin")
    ]
    assert study.jobs[1].graph().get_edgelist() == gt.banded_dag(6, bandwidth=2).get_edgelist()
    assert study.jobs[0].folder == study.out / "cdigits" / "full" / "seed-3"


def test_what_is_not_said_is_the_papers(load):
    (job,) = load("").jobs
    assert job.config == gt.TrainConfig(data=job.data, threads=1)
    assert (job.threshold, job.threads) == (0.006, 1)


def test_a_prior_goes_before_a_data_set_and_that_before_the_study(load):
    study = load(
        "channels = 2\n[optimization]\nepochs = 10\nbatch_size = 20",
        priors="[priors.full]\nnodes = 6\n[priors.wide]\nkind = 'full'\nnodes = 6\nchannels = 4\n"
        "[priors.wide.optimization]\nepochs = 12\n",
        data="[data.cdigits]\n[data.cdigits_t8]\nchannels = 3\nseeds = 2\n[data.cdigits_t8.optimization]\nepochs = 11\n",
    )
    said = {
        job.name: (
            job.config.model.channels,
            job.config.optimization.epochs,
            job.config.optimization.batch_size,
        )
        for job in study.jobs
    }
    assert said == {
        "cdigits/full/seed-0": (2, 10, 20),
        "cdigits/wide/seed-0": (4, 12, 20),
        "cdigits_t8/full/seed-0": (3, 11, 20),
        "cdigits_t8/full/seed-1": (3, 11, 20),
        "cdigits_t8/wide/seed-0": (4, 12, 20),
        "cdigits_t8/wide/seed-1": (4, 12, 20),
    }


def test_a_prior_can_be_for_some_data_sets_only(load):
    study = load(
        "",
        priors="[priors.full]\nnodes = 6\n[priors.chain]\nnodes = 6\ndata = ['cdigits_t8']\n",
        data="[data.cdigits]\n[data.cdigits_t8]\n",
    )
    assert {job.name for job in study.jobs} == {
        "cdigits/full/seed-0", "cdigits_t8/full/seed-0", "cdigits_t8/chain/seed-0",
    }  # fmt: skip


def test_a_random_prior_is_one_graph_or_one_for_every_run(load):
    text = "[priors.{0}]\nkind = 'erdos-renyi'\nnodes = 12\np = 0.4\nseed = {1}\n"
    study = load("seeds = 2", priors=text.format("one", 7) + text.format("many", '"run"'))
    edges = {job.name: job.graph().get_edgelist() for job in study.jobs}
    assert edges["cdigits/one/seed-0"] == edges["cdigits/one/seed-1"]
    assert edges["cdigits/one/seed-0"] == gt.priors.erdos_renyi_dag(12, p=0.4, seed=7).get_edgelist()
    assert edges["cdigits/many/seed-1"] == gt.priors.erdos_renyi_dag(12, p=0.4, seed=1).get_edgelist()
    assert edges["cdigits/many/seed-0"] != edges["cdigits/many/seed-1"]


def test_a_prior_can_be_a_file_beside_the_study(load, tmp_path):
    gt.write(gt.chain_dag(5), tmp_path / "mine.graphml")
    (job,) = load("", priors="[priors.mine]\nfile = 'mine.graphml'\n").jobs
    assert job.graph().get_edgelist() == gt.chain_dag(5).get_edgelist()


def test_paths_are_relative_to_the_study_file_unless_somebody_says_where(load, tmp_path, monkeypatch):
    data = "[data.mine]\nsource = 'mnist.npz'\n[data.cifar10]\n"

    def places(**options):
        study = load("", data=data, **options)
        return str(study.out), study.jobs[0].data.source, study.jobs[1].data.root

    assert places() == (f"{tmp_path}/runs/study", f"{tmp_path}/mnist.npz", None)
    assert places(out="/there", data_root="/data") == ("/there", "/data/mnist.npz", "/data")
    monkeypatch.setenv("SCRATCH", "/scratch")
    study = load("out = '../elsewhere'\ndata_root = '$SCRATCH/sets'", data=data)
    assert study.out == tmp_path.parent / "elsewhere"
    assert [job.data.root or job.data.source for job in study.jobs] == [
        "/scratch/sets/mnist.npz",
        "/scratch/sets",
    ]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ({"text": "chanels = 3"}, "study.toml: unknown key 'chanels'; did you mean 'channels'?"),
        ({"text": "channels = 0"}, "study.toml: channels must be an integer >= 1, got 0"),
        ({"text": "seeds = []"}, "seeds must be the number of seeds (3 for 0, 1 and 2), or a list of different integers >= 0, got []"),
        ({"text": "seeds = [1, 1]"}, "a list of different integers >= 0, got [1, 1]"),
        ({"text": "seeds = true"}, ">= 0, got True"),
        ({"text": "threshold = -1"}, "threshold must be a number >= 0, got -1"),
        ({"text": "device = 'gpu'"}, "study.toml: device must be auto, cpu, cuda, cuda:1 or mps, got 'gpu'"),
        ({"text": "name = '../x'"}, "name must be letters, digits, dots and dashes, got '../x'"),
        ({"text": "[optimization]\nepoch = 3"}, "[optimization] unknown option 'epoch'; did you mean 'epochs'?"),
        ({"text": "[optimization]\nepochs = 0"}, "[optimization] epochs must be an integer >= 1, got 0"),
        ({"data": ""}, "study.toml: data is missing; add a table such as [data.cmnist]"),
        ({"priors": ""}, "study.toml: priors is missing; add a table such as [priors.full]"),
        ({"data": "[data.cmnits]\n"}, "[data.cmnits] unknown data set 'cmnits'; did you mean 'cmnist'?"),
        ({"data": "[data.x]\nsource='a.npz'\ntransform=['color']\n"}, "[data.x] unknown key 'transform'; did you mean 'transforms'?"),
        ({"data": "[data.x]\nsource='a.npz'\ntransforms=['colour']\n"}, "[data.x] invalid transforms: "),
        ({"data": "[data.cdigits]\nflip = 3\n"}, "[data.cdigits] flip must be True or False, got 3"),
        ({"data": "[data]\ncdigits = 3\n"}, "[data] cdigits must be a table, got 3"),
        ({"data": "[data.'a/b']\nsource='a.npz'\n"}, "[data] names of tables must be letters, digits, dots and dashes, got 'a/b'"),
        ({"priors": "[priors.ful]\nnodes = 3\n"}, "[priors.ful] unknown kind 'ful'; did you mean 'full'?"),
        ({"priors": "[priors.full]\nnodes = 3\nbandwidth = 2\n"}, "[priors.full] unknown key 'bandwidth'"),
        ({"priors": "[priors.full]\n"}, "[priors.full] nodes is missing; it must be an integer"),
        ({"priors": "[priors.full]\nnodes = 1\n"}, "[priors.full] cannot be created: n_nodes"),
        ({"priors": "[priors.full]\nnodes = 4\nstages = [1]\n"}, "[priors.full] cannot be created:"),
        ({"priors": "[priors.x]\nkind='erdos-renyi'\nnodes=4\np=0.5\n"}, "[priors.x] seed is missing; it must be an integer for one graph in all runs"),
        ({"priors": "[priors.full]\nnodes = 4\ndata = ['cdigit']\n"}, "[priors.full] unknown data set 'cdigit' in data; did you mean 'cdigits'?"),
        ({"priors": "[priors.x]\nfile = 'no.graphml'\n"}, "[priors.x] cannot be created:"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line_with_file_table_and_key(load, tmp_path, lines, message):
    with pytest.raises(gt.errors.ArgumentError) as caught:
        load(lines.get("text", ""), **{key: value for key, value in lines.items() if key != "text"})
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'study.toml'}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seeds = 10_000_000", "must have 1 to 100,000 runs, got 10,000,000"),
        ("out = '~nosuchuser/x'", "'~nosuchuser/x' is not a valid path"),
        ("data_root = '~nosuchuser/x'", "'~nosuchuser/x' is not a valid path"),
    ],
)
def test_hostile_values_are_one_line_at_once(load, text, message):
    start = time.monotonic()
    with pytest.raises(gt.errors.ArgumentError) as caught:
        load(text)
    assert message in str(caught.value)
    assert time.monotonic() - start < 5


def test_toml_that_is_nested_too_deep_is_one_line(tmp_path):
    (tmp_path / "deep.toml").write_text("a = " + "[" * 100_000)
    with pytest.raises(gt.errors.FormatError, match="is not valid TOML"):
        gt.Study.read(tmp_path / "deep.toml")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_is_no_study(tmp_path):
    os.mkfifo(tmp_path / "s.toml")
    with pytest.raises(gt.errors.FormatError, match="named pipe"):
        gt.Study.read(tmp_path / "s.toml")
