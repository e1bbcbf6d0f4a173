"""Measure a corpus into a folder of Parquet files, on the processes of an engine; a call resumes what another began."""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

from graphtask.corpus.cache import context_of
from graphtask.corpus.entries import Entry
from graphtask.corpus.parts import Note, Part, find_part, part_digests, read_part, unify
from graphtask.corpus.pool import custom_modules
from graphtask.corpus.rows import Row, Settings
from graphtask.engines.local import LocalEngine
from graphtask.engines.protocol import Ending, Engine, Tasks
from graphtask.errors import ArgumentError, GraphtaskError, RunInterruptedError
from graphtask.storage.atomic import check_folder, remove_leftovers
from graphtask.validation import choice, counted, integer
from graphtask.workers import n_cores

PART_SIZE = 1_000
"""Graphs per part."""

EngineFactory = Callable[[Tasks], Engine]
"""Returns the engine that performs these tasks."""

_RETRIES = 4  # of a part whose process died
_LOOK = 0.5  # seconds between two questions for the number of slots


@dataclass(frozen=True)
class Corpus:
    """Parts of a corpus; see `graphtask.engines.protocol.Tasks`."""

    out: Path
    """Folder of the parts, absolute."""
    jobs: Sequence[Part]
    """The parts."""


class Report(NamedTuple):
    """Summary of a call of `measure_parts`."""

    files: list[Path]
    """Files of all parts, in the order of the graphs; those of failed parts are missing."""
    n_errors: int
    """Number of graphs that cannot be measured."""
    errors: list[str]
    """The first errors."""
    n_kept: int
    """Number of graphs that kept stages other than those requested."""
    n_resumed: int
    """Number of parts that were there before."""
    failed: dict[str, str]
    """Reasons of parts that were not written, by name."""

    def rows(self) -> Iterator[Row]:
        """Yield the rows of all parts, in the order of the graphs."""
        for file in self.files:
            yield from read_part(file)


def measure_parts(
    entries: Sequence[Entry],
    settings: Settings,
    *,
    out: Path,
    engine: EngineFactory,
    part_size: int = PART_SIZE,
    notify: Callable[[str], object],
    watch: Callable[[int], object] = id,
) -> Report:
    """Measure graphs into a folder, a Parquet file for each part of them, and return a summary.

    Parts that are there are verified and kept. A part whose process dies is measured again, each of its graphs then in
    a process that may die: such a graph costs its own row.

    Args:
        entries: Result of `graphtask.corpus.entries.find`.
        settings: What is done with every graph.
        out: Folder, created if missing, on storage that all machines of the engine share.
        engine: Returns the engine for the parts that are missing.
        part_size: Graphs per part.
        notify: Receives messages about parts that are measured again.
        watch: Receives the number of graphs of each part that is complete.

    Raises:
        ArgumentError: An argument is out of range, a metric is unknown, or the engine is not available.
        GraphtaskError: The folder cannot be written to, or has other files.
        RunInterruptedError: Ctrl-C; the parts that are complete stay.
    """
    _ = settings.selection
    corpus = _corpus(entries, settings, out=out, size=integer(part_size, name="part_size"))
    _check_contents(corpus)
    corpus.out.mkdir(parents=True, exist_ok=True)
    notes = {part.number: note for part in corpus.jobs if (note := _found(part, notify)) is not None}
    n_resumed = len(notes)
    waiting = [part for part in corpus.jobs if part.number not in notes]
    for number in notes:
        watch(len(corpus.jobs[number].entries))
    failed: dict[str, str] = {}
    try:
        if waiting:
            with engine(Corpus(corpus.out, waiting)) as opened:
                for part, ending in _endings(waiting, opened, notify):
                    note = find_part(part) if ending.kind == "finished" else None
                    if note is None:
                        failed[part.name] = ending.reason or "the file is missing, or damaged"
                    else:
                        notes[part.number] = note
                        watch(len(part.entries))
        done = [part for part in corpus.jobs if part.number in notes]
        unify(done, [notes[part.number] for part in done])
    except KeyboardInterrupt:
        raise RunInterruptedError(
            f"interrupted; {counted(len(notes), 'part')} of {len(corpus.jobs):,} in {out}; run the same command again to "
            f"resume"
        ) from None
    for part in done:
        remove_leftovers(part.path)
    found = [notes[part.number] for part in done]
    return Report(
        files=[part.path for part in done],
        n_errors=sum(note.n_errors for note in found),
        errors=[error for note in found for error in note.errors],
        n_kept=sum(note.n_kept for note in found),
        n_resumed=n_resumed,
        failed=failed,
    )


def engine_factory(
    name: Literal["local", "ray"] | EngineFactory, *, n_jobs: int | None = None, address: str | None = None
) -> EngineFactory:
    """Return a function that returns an engine.

    Args:
        name: ``"local"``: processes on this machine; ``"ray"``: a Ray cluster; or such a function.
        n_jobs: Number of processes; None is one for each core of this machine, or as many as fit on the cluster.
        address: Address of the cluster; see `graphtask.engines.RayEngine`.

    Raises:
        ArgumentError: The name is unknown, or ``n_jobs`` is out of range.
    """
    if callable(name):
        return name
    choice(name, name="engine", choices=("local", "ray"))
    if n_jobs is not None:
        integer(n_jobs, name="n_jobs")
    if name == "local":
        return lambda tasks: LocalEngine(n_jobs=min(n_jobs or n_cores(), len(tasks.jobs)))

    def on_ray(tasks: Tasks) -> Engine:
        from graphtask.engines.ray import RayEngine

        return RayEngine(tasks, address=address or "auto", gpus_per_run=0, n_jobs=n_jobs)

    return on_ray


def _corpus(entries: Sequence[Entry], settings: Settings, *, out: Path, size: int) -> Corpus:
    if settings.null_model is not None:
        raise ArgumentError(
            "null models make several rows for each graph; write one table instead of a folder"
        )
    modules = tuple(custom_modules(settings))
    folder = out.absolute()
    digests = part_digests(entries, size=size, context=context_of(settings))
    parts = [
        Part(
            out=folder,
            number=number,
            entries=tuple(entries[number * size : (number + 1) * size]),
            settings=settings,
            modules=modules,
            digest=digest,
        )
        for number, digest in enumerate(digests)
    ]
    return Corpus(folder, parts)


def _check_contents(corpus: Corpus) -> None:
    """Check that the folder can be written to, and has parts only; hidden files and the log are no parts of a table."""
    check_folder(corpus.out)
    known = {part.path.name for part in corpus.jobs}
    names = sorted(path.name for path in corpus.out.iterdir()) if corpus.out.is_dir() else []
    for name in names:
        if name not in known and not name.startswith((".", "_")):
            raise GraphtaskError(
                f"{corpus.out}: must be empty, or have the {counted(len(known), 'part')} of this table, has {name}; choose "
                f"another folder"
            )


def _found(part: Part, notify: Callable[[str], object]) -> Note | None:
    """Return the summary of a part that is there."""
    note = find_part(part)
    if note is None and part.path.exists():
        notify(f"{part.path}: is damaged, and measured again")
    return note


def _endings(
    parts: Sequence[Part], engine: Engine, notify: Callable[[str], object]
) -> Iterator[tuple[Part, Ending]]:
    """Yield every part with its final ending; one whose process died is retried."""
    waiting = deque(parts)
    running: dict[Future[Ending], Part] = {}
    deaths: Counter[str] = Counter()
    while waiting or running:
        slots = engine.slots()
        while waiting and len(running) < slots:
            part = waiting.popleft()
            running[engine.submit(part)] = part
        done, _ = wait(running, timeout=_LOOK, return_when=FIRST_COMPLETED)
        for future in done:
            part, ending = running.pop(future), future.result()
            if ending.kind == "refused":
                waiting.append(part)
            elif ending.kind in {"died", "interrupted"} and deaths[part.name] < _RETRIES:
                deaths[part.name] += 1
                notify(f"{part.name}: {ending.reason}; measured again")
                waiting.append(replace(part, is_isolated=True))
            else:
                yield part, ending
