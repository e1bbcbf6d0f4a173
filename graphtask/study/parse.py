"""Turn the tables of a study file into jobs."""

import inspect
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from graphtask.data.catalog import CATALOG
from graphtask.data.transforms import parse_transform
from graphtask.errors import ArgumentError, GraphtaskError
from graphtask.named import is_code_name, load_named
from graphtask.priors.registry import PRIORS
from graphtask.study.file_tables import (
    FLAG,
    LEAST_0,
    NUMBER,
    SEEDS,
    STAGES,
    TABLE,
    TEXT,
    TEXTS,
    WHOLE,
    Kind,
    Table,
)
from graphtask.study.job import KINDS, RUN_SEED, Job, Prior
from graphtask.training.config import OPTIONS, TrainConfig
from graphtask.validation import suggestion

_ANY = Kind(lambda _: True, "")  # checked by TrainConfig
_SECTIONS = tuple(name for name in TrainConfig.sections if name != "data")

# Options for the whole study, or for one of its data sets or priors: those of TrainConfig, by keyword or in a section.
_OPTIONS: Mapping[str, Kind] = {
    "seeds": SEEDS,
    **{
        keyword: _ANY
        for keyword, (section, name) in OPTIONS.items()
        if keyword not in {"seed", "threshold"}
        and (section != "data" or name in {"task", "validation", "crop_padding", "flip"})
    },
    **dict.fromkeys(_SECTIONS, TABLE),
}
_STUDY: Mapping[str, Kind] = {
    "name": TEXT,
    "out": TEXT,
    "threshold": LEAST_0,
    "data_root": TEXT,
    "download": FLAG,
    **_OPTIONS,
    "priors": TABLE,
    "data": TABLE,
}
_DATA: Mapping[str, Kind] = {
    "source": TEXT,
    "transforms": TEXTS,
    "seed": WHOLE,
    "root": TEXT,
    "download": FLAG,
    **_OPTIONS,
}
_PRIOR: Mapping[str, Kind] = {"kind": TEXT, "data": TEXTS, **_OPTIONS}

# What each kind of prior takes besides; the functions check the ranges.
_ARGUMENTS: Mapping[str, Kind] = {
    **{
        argument.name: {int: WHOLE, float: NUMBER, str: TEXT}[argument.type]
        for prior in PRIORS.values()
        for argument in prior.arguments
    },
    "stages": STAGES,
    "seed": Kind(
        lambda value: WHOLE.holds(value) or value == RUN_SEED,
        f'an integer for one graph in all runs, or "{RUN_SEED}" for one graph per run',
    ),
    "path": TEXT,
    "join": FLAG,
    "merge": FLAG,
    "order": TEXT,
    "drop_isolated": FLAG,
    "reading": TEXT,
}
_SHORT = {"n_nodes": "nodes", "path": "file"}
_NAME = re.compile(r"[^\W_][\w.+-]*")
_MOST_JOBS = 100_000


class Place(NamedTuple):
    """Location of a study."""

    file: str
    """Name in messages."""
    folder: Path
    """Folder that relative paths start from."""


class Plan(NamedTuple):
    """Content of a study file, with all defaults and overrides applied."""

    name: str
    out: Path
    threshold: float
    jobs: tuple[Job, ...]


def parse_plan(values: Mapping[str, Any], place: Place, *, out: Path | None, data_root: Path | None) -> Plan:
    """Return the jobs that the tables of a study describe.

    Args:
        values: The tables.
        place: Location of the study.
        out: Folder of all runs; overrides the tables.
        data_root: Folder of the named data sets; overrides the tables.

    Raises:
        ArgumentError: A key is unknown or a value is invalid; the message names the table.
    """
    top = Table(values, file=place.file)
    top.check(_STUDY)
    name = values.get("name", Path(place.file).stem)
    if not _NAME.fullmatch(name):
        raise top.error(f"name must be letters, digits, dots and dashes, got {name!r}")
    if out is None:
        out = _absolute(values.get("out", f"runs/{name}"), place.folder)
    if data_root is None and "data_root" in values:
        data_root = _absolute(values["data_root"], place.folder)
    data = {table.path[1]: (table, _data(table, top, data_root, place)) for table in _tables(top, "data")}
    priors = {table.path[1]: (table, _prior(table, place)) for table in _tables(top, "priors")}
    threshold = float(values.get("threshold", 0.006))
    groups = [
        (one, prior, *_configuration(top, of_data, of_prior))
        for of_data, one in data.values()
        for of_prior, prior in priors.values()
        if one["name"] in _selected(of_prior, data)
    ]
    n_runs = sum(len(seeds) for *_, seeds, _ in groups)
    if not 0 < n_runs <= _MOST_JOBS:
        raise top.error(f"must have 1 to {_MOST_JOBS:,} runs, got {n_runs:,}")
    ranked = [
        (rank, Job(out=out, prior=prior, config=config.replace(data=one, seed=seed), threshold=threshold))
        for one, prior, seeds, config in groups
        for rank, seed in enumerate(seeds)
    ]
    _check_priors([job for _, job in ranked], top)
    # A stable sort: first one seed of everything, so that a study that is half done already compares all of it.
    jobs = tuple(job for _, job in sorted(ranked, key=lambda entry: entry[0]))
    return Plan(name, out, threshold, jobs)


def _tables(top: Table, key: str) -> Iterator[Table]:
    """Yield the named tables of ``[data]`` or ``[priors]``."""
    group = top.table(key)
    if not group.values:
        raise top.error(
            f"{key} is missing; add a table such as [{key}.{'cmnist' if key == 'data' else 'full'}]"
        )
    for name in group.values:
        if not _NAME.fullmatch(name):
            raise group.error(f"names of tables must be letters, digits, dots and dashes, got {name!r}")
        yield group.table(name)


def _data(table: Table, top: Table, data_root: Path | None, place: Place) -> dict[str, Any]:
    table.check(_DATA)
    values, name = table.values, table.path[1]
    root = _absolute(values["root"], place.folder) if "root" in values else data_root
    source = values.get("source", name)
    if source not in CATALOG and not is_code_name(source):
        source = _data_path(source, root or place.folder, table)
    try:
        for text in values.get("transforms", ()):
            parse_transform(text)
    except ArgumentError as error:
        raise table.error(f"invalid transforms: {error}") from error
    return {
        "name": name,
        "source": source,
        "root": str(root) if root is not None and source in CATALOG else None,
        "download": values.get("download", top.values.get("download", False)),
        "transforms": tuple(values.get("transforms", ())),
        "seed": values.get("seed", 0),
    }


def _data_path(source: str, folder: Path, table: Table) -> str:
    path = _absolute(source, folder)
    looks_like_one = Path(source).suffix or Path(source).name != source or source.startswith(("~", "$", "."))
    if not looks_like_one and not path.exists():
        raise table.error(
            f"unknown data set {source!r}; {suggestion(source, CATALOG)} For files and folders, use source = …, such as "
            f"source = {'mnist.npz'!r}"
        )
    return str(path)


def _prior(table: Table, place: Place) -> Prior:
    values, name = table.values, table.path[1]
    kind = values.get("kind", "file" if "file" in values else name)
    try:
        parameters = inspect.signature(load_named(str(kind), home=KINDS, name="kind")).parameters
    except ArgumentError as error:
        raise table.error(str(error)) from error
    known = {_SHORT.get(key, key): _ARGUMENTS.get(key, _ANY) for key in parameters}
    table.check({**known, **_PRIOR})
    for key, parameter in parameters.items():
        short = _SHORT.get(key, key)
        if parameter.default is parameter.empty and short not in values:
            raise table.error(f"{short} is missing; it must be {known[short].words}")
    arguments = {key: values[short] for key in parameters if (short := _SHORT.get(key, key)) in values}
    if "path" in arguments:
        arguments["path"] = str(_absolute(arguments["path"], place.folder))
    return Prior(name=name, kind=kind, arguments=arguments)


def _selected(prior: Table, data: Mapping[str, Any]) -> list[str]:
    """Return the names of the data sets for which a prior is used."""
    names: list[str] = list(prior.values.get("data", data))
    for name in names:
        if name not in data:
            raise prior.error(f"unknown data set {name!r} in data; {suggestion(name, data)}")
    return names


def _configuration(top: Table, data: Table, prior: Table) -> tuple[Sequence[int], TrainConfig]:
    """Return the seeds and the configuration: a prior overrides its data set, which overrides the study."""
    seeds: Any = 1
    config = TrainConfig(threads=1)
    for table in (top, data, prior):
        seeds = table.values.get("seeds", seeds)
        config = _updated(config, table)
    return range(seeds) if isinstance(seeds, int) else seeds, config


def _updated(config: TrainConfig, table: Table) -> TrainConfig:
    """Return a configuration with the options of a table, and those of its sections."""
    for name in _SECTIONS:
        section = table.table(name)
        if "seed" in section.values:
            raise section.error("unknown key 'seed'; use seeds = … at the top of the study")
        try:
            config = config.replace(**{name: section.values})
        except ArgumentError as error:
            raise _invalid(section, str(error).removeprefix(f"[{name}] ")) from error
    keywords = {key: value for key, value in table.values.items() if key in OPTIONS and key in _OPTIONS}
    try:
        return config.replace(**keywords)
    except ArgumentError as error:
        raise _invalid(table, str(error)) from error


def _invalid(table: Table, message: str) -> ArgumentError:
    place = f"[{'.'.join(table.path)}] " if table.path else ""
    return ArgumentError(f"{table.file}: {place}{message}")


def _check_priors(jobs: list[Job], top: Table) -> None:
    """Create the initial graph of every prior once, so that errors are reported now."""
    for job in {job.prior.name: job for job in reversed(jobs)}.values():
        try:
            job.graph()
        except GraphtaskError as error:
            raise top.table("priors").table(job.prior.name).error(f"cannot be created: {error}") from error


def _absolute(path: str, folder: Path) -> Path:
    try:
        expanded = Path(os.path.expandvars(path)).expanduser()
        return Path(os.path.abspath(folder / expanded))  # noqa: PTH100 - links stay
    except (RuntimeError, ValueError) as error:  # an unknown user, or a null byte
        raise ArgumentError(f"{path!r} is not a valid path ({error})") from error
