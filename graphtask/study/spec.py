"""Read the runs of a study from a study file (TOML), or from the folder of its runs; write its ``study.json``."""

import contextlib
import dataclasses
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from graphtask.errors import ArgumentError, FormatError, RunError
from graphtask.named import is_code_name
from graphtask.storage.atomic import check_folder, write_atomically
from graphtask.storage.bounded_json import parse_json
from graphtask.storage.names import safe_component, safe_path
from graphtask.storage.regular import read_regular
from graphtask.storage.toml import read_toml
from graphtask.study.job import KINDS, Job
from graphtask.study.parse import Place, Plan, parse_plan
from graphtask.validation import integer, invalid, number

SNAPSHOT = "study.json"
"""In the folder of all runs: the study when it was last run."""

_FORMAT = 1
_LARGEST = 1 << 28  # bytes


def read_plan(
    source: str | Path | Mapping[str, Any],
    *,
    out: str | Path | None = None,
    data_root: str | Path | None = None,
    threads: int | None = None,
    imports: Collection[str] = (),
) -> Plan:
    """Read a study; see `graphtask.Study.read`."""
    plan = _read(source, out=_absolute(out), data_root=_absolute(data_root), imports=imports)
    if threads is None:
        return plan
    changed = [dataclasses.replace(job, config=job.config.replace(threads=threads)) for job in plan.jobs]
    return plan._replace(jobs=tuple(changed))


def check_snapshot(out: Path, *, name: str) -> None:
    """Check that a folder can hold the study of that name; nothing is created or written.

    Raises:
        RunError: The folder holds another study.
        GraphtaskError: It cannot be created, or is not writable.
    """
    _check_name(out, name)
    check_folder(out)


def write_snapshot(out: Path, *, name: str, threshold: float, jobs: Sequence[Job]) -> None:
    """Write ``study.json`` into the folder of a study.

    Raises:
        RunError: The folder holds another study, or cannot be created.
        GraphtaskError: The file cannot be written.
    """
    _check_name(out, name)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"{out}: the folder of the study cannot be created ({error.strerror}); choose another out"
        ) from error
    entries = [job.to_dict() for job in jobs]
    for entry in entries:
        del entry["out"]  # the folder may be moved
    content = {"format": _FORMAT, "name": name, "threshold": threshold, "jobs": entries}
    text = (json.dumps(content, indent=1) + "\n").encode()
    path = out / SNAPSHOT
    if not path.exists() or _content(path) != text:
        with write_atomically(path) as file:
            file.write(text)


def _check_name(out: Path, name: str) -> None:
    if not (out / SNAPSHOT).exists():
        return
    with _damage_in_one_line(out):
        other = str(_snapshot(out)["name"])
    if other != name:
        raise RunError(f"{out}: holds the study {other!r}, not {name!r}; choose another out")


def _read(
    source: str | Path | Mapping[str, Any],
    *,
    out: Path | None,
    data_root: Path | None,
    imports: Collection[str],
) -> Plan:
    if isinstance(source, Mapping):
        return parse_plan(source, Place("study", Path.cwd()), out=out, data_root=data_root)
    path = Path(source)
    if path.is_dir():
        if out is not None or data_root is not None:
            raise ArgumentError(
                f"{path}: out and data_root apply to a study file, not to the folder of a study"
            )
        return _read_snapshot(path.absolute(), imports)
    place = Place(str(path), path.absolute().parent)
    return parse_plan(_toml(path), place, out=out, data_root=data_root)


def _toml(path: Path) -> dict[str, Any]:
    try:
        return read_toml(path)
    except OSError as error:
        raise FormatError(
            f"{path}: the study cannot be read ({error.strerror}); pass a study file, or the folder of its runs"
        ) from error
    except ValueError as error:
        raise FormatError(f"{path}: is not valid TOML ({error})") from error


def _read_snapshot(folder: Path, imports: Collection[str]) -> Plan:
    with _damage_in_one_line(folder):
        content = _snapshot(folder)
        jobs = tuple(_stored_job(entry, folder) for entry in content["jobs"])
        threshold = number(content["threshold"], name="threshold", least=0)
    code = {keyword: text for job in jobs for keyword, text in job.code.items() if text not in imports}
    for keyword, text in code.items():
        raise RunError(
            f"{folder / SNAPSHOT}: names code, {keyword} = {text!r}, which is not imported by itself; pass the study file "
            f"instead of its folder, or repeat the name: --allow-import {text}"
        )
    return Plan(str(content["name"]), folder, threshold, jobs)


def _snapshot(folder: Path) -> Any:
    content = parse_json(_content(folder / SNAPSHOT))
    if content["format"] != _FORMAT:
        raise RunError(
            f"{folder / SNAPSHOT}: was written by another version of graphtask; run the study file again"
        )
    return content


@contextlib.contextmanager
def _damage_in_one_line(folder: Path) -> Iterator[None]:
    path = folder / SNAPSHOT
    try:
        yield
    except FileNotFoundError as error:
        raise RunError(
            f"{folder}: is not the folder of a study (no {SNAPSHOT}); pass a study file"
        ) from error
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise RunError(f"{path}: is damaged ({error}); delete it, and run the study file again") from error


def _stored_job(values: Mapping[str, Any], folder: Path) -> Job:
    """Return a job of a file that may come from anybody: it writes into the folder only, and downloads nothing."""
    job = Job.from_dict({**values, "out": str(folder)})
    if job.label:
        safe_path(job.label, name="label")
    else:  # the folder is made of these
        safe_component(job.data_name, name="data.name")
        safe_component(job.prior.name, name="prior.name")
    integer(job.seed, name="seed", least=0)
    if job.prior.kind not in KINDS and not is_code_name(job.prior.kind):
        raise invalid("prior.kind", f"one of {', '.join(KINDS)}", job.prior.kind)
    # A download writes into a folder that the file names.
    return dataclasses.replace(job, config=job.config.replace(download=False))


def _content(path: Path) -> bytes:
    return read_regular(path, limit=_LARGEST)


def _absolute(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path).absolute()
