"""A study: which runs there are, from a study file (TOML), or from the folder that its runs are in."""

import dataclasses
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphtask.errors import ArgumentError, FormatError, RunError
from graphtask.storage.atomic import check_folder, write_atomically
from graphtask.storage.bounded_json import parse_json
from graphtask.storage.regular import read_regular
from graphtask.study.job import Job
from graphtask.study.parse import Place, plan
from graphtask.validation import counted

SNAPSHOT = "study.json"
"""In the folder of all runs: the study as it was when it last ran."""

_FORMAT = 1
_LARGEST = 1 << 28  # bytes


@dataclass(frozen=True, kw_only=True)
class Study:
    """Many runs: every prior on every data set from every seed.

    Args:
        name: What the study is called.
        out: Folder of all runs; that of a run is ``<out>/<data>/<prior>/seed-<seed>``.
        threshold: At which trained graphs are pruned for the table of results.
        jobs: The runs, in the order in which they are begun: first one seed of everything.
    """

    name: str
    out: Path
    threshold: float
    jobs: tuple[Job, ...]

    def __repr__(self) -> str:
        n_data, n_priors = (
            len({job.data_name for job in self.jobs}),
            len({job.prior.name for job in self.jobs}),
        )
        return (
            f"Study({self.name!r}, {counted(len(self.jobs), 'run')}: {counted(n_data, 'data set')}, {counted(n_priors, 'prior')}; "
            f"out {str(self.out)!r})"
        )

    def check_out(self) -> None:
        """Raise now what `save` would raise; nothing is made or written.

        Raises:
            RunError: The folder holds another study.
            GraphtaskError: It cannot be made, or nothing may be written there.
        """
        self._check_name()
        check_folder(self.out)

    def save(self) -> None:
        """Write what the study is to ``study.json`` in its folder, so that the folder tells of itself.

        Raises:
            RunError: The folder holds another study, or cannot be made.
            GraphtaskError: The file cannot be written.
        """
        path = self.out / SNAPSHOT
        self._check_name()
        try:
            self.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(
                f"{self.out}: the folder of the study cannot be made ({error.strerror}); choose another out"
            ) from error
        jobs = [job.to_dict() for job in self.jobs]
        for job in jobs:
            del job["out"]  # the folder may be moved
        content = {"format": _FORMAT, "name": self.name, "threshold": self.threshold, "jobs": jobs}
        text = json.dumps(content, indent=1) + "\n"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            with write_atomically(path) as file:
                file.write(text.encode())

    def _check_name(self) -> None:
        if (self.out / SNAPSHOT).exists() and (name := _read_snapshot(self.out).name) != self.name:
            raise RunError(f"{self.out}: holds the study {name!r}, not {self.name!r}; choose another out")


def load_study(
    source: str | Path | Mapping[str, Any],
    *,
    out: str | Path | None = None,
    data_root: str | Path | None = None,
    threads: int | None = None,
) -> Study:
    """The study that a study file describes, or the one whose runs are in a folder.

    Args:
        source: A study file (TOML; ``docs/studies.md`` describes it), the folder of a study that has run, or a
            dictionary of what would stand in a file.
        out: Folder of all runs, instead of what the file says.
        data_root: Where data sets lie, instead of what the file says.
        threads: CPU threads of each run, instead of what the file says.

    Raises:
        FormatError: The file cannot be read, or is no TOML.
        ArgumentError: A key is unknown or a value does not fit; says in which table.
        RunError: The folder holds no study.

    Example:
        >>> import graphtask as gt
        >>> study = gt.load_study(
        ...     {
        ...         "name": "small",
        ...         "seeds": 2,
        ...         "priors": {"full": {"nodes": 8}},
        ...         "data": {"cdigits": {}, "cdigits_t8": {"epochs": 20}},
        ...     }
        ... )
        >>> [job.name for job in study.jobs][:3], study.jobs[1].config.optimization.epochs
        (['cdigits/full/seed-0', 'cdigits_t8/full/seed-0', 'cdigits/full/seed-1'], 20)
    """
    study = _loaded(source, out=_absolute(out), data_root=_absolute(data_root))
    if threads is None:
        return study
    jobs = tuple(dataclasses.replace(job, config=job.config.replace(threads=threads)) for job in study.jobs)
    return dataclasses.replace(study, jobs=jobs)


def _loaded(source: str | Path | Mapping[str, Any], *, out: Path | None, data_root: Path | None) -> Study:
    if isinstance(source, Mapping):
        place = Place("study", Path.cwd())
        return Study(**plan(source, place, out=out, data_root=data_root)._asdict())
    path = Path(source)
    if path.is_dir():
        if out is not None or data_root is not None:
            raise ArgumentError(f"{path}: is the folder of a study; out and data_root go with a study file")
        return _read_snapshot(path.absolute())
    place = Place(str(path), path.absolute().parent)
    return Study(**plan(_toml(path), place, out=out, data_root=data_root)._asdict())


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_regular(path, limit=_LARGEST).decode())
    except OSError as error:
        raise FormatError(
            f"{path}: the study cannot be read ({error.strerror}); give a study file, or the folder of its runs"
        ) from error
    except (ValueError, RecursionError) as error:  # of TOML and of UTF-8
        raise FormatError(f"{path}: is no TOML ({error})") from error


def _read_snapshot(folder: Path) -> Study:
    path = folder / SNAPSHOT
    try:
        content = parse_json(read_regular(path, limit=_LARGEST))
        if content["format"] != _FORMAT:
            raise RunError(f"{path}: was written by another version of graphtask; run the study file again")
        jobs = tuple(Job.from_dict(job | {"out": str(folder)}) for job in content["jobs"])
        return Study(name=str(content["name"]), out=folder, threshold=float(content["threshold"]), jobs=jobs)
    except FileNotFoundError as error:
        raise RunError(
            f"{folder}: no {SNAPSHOT} here, so this is not the folder of a study; give its file"
        ) from error
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise RunError(f"{path}: is damaged ({error}); delete it, and run the study file again") from error


def _absolute(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path).absolute()
