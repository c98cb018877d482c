"""Exports candidates of a run: from what is asked for to folders with all files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from se_search.candidate import Candidate
from se_search.cost import count_cost
from se_search.execution.environment import read_versions
from se_search.execution.session import OpenSession, open_session
from se_search.export.images import find_preparation, read_images
from se_search.export.origin import describe_origin
from se_search.export.trained import (
    TrainAgain,
    find_first_training,
    find_or_train,
    load_kept,
)
from se_search.export.write import CARD, Export, Graphs, list_files, refuse_target, write_export
from se_search.report.format import count
from se_search.report.model_card import write_card
from se_search.report.run import Run
from se_search.report.selection import select_candidates
from se_search.run_config import name_data
from se_search.shell import join_command
from se_search.store.exports import record_export
from se_search.store.files import write_text
from se_search.store.kept_weights import KeptFile
from se_search.store.room import describe_bytes
from se_search.store.run_folder import RunFolder
from se_search.terminal import one_line

if TYPE_CHECKING:
    from se_search.commands.export import ExportOptions

Note = Callable[[str], None]


def export_candidates(
    folder: RunFolder,
    options: ExportOptions,
    note: Note = lambda _: None,
    open_session: OpenSession = open_session,
    graphs: Graphs | None = None,
) -> list[Export]:
    """Write the candidates that are asked for into folders, one each.

    Args:
        folder: of the run.
        options: what is asked for.
        note: told what goes on.
        open_session: finds what a training needs.
        graphs: writes the files that compute a network; None: PyTorch's exporters do.

    Raises:
        SESearchError: a candidate, its weights or its network are not there, or the folder holds
            something else.
    """
    run = Run(folder)
    how = TrainAgain(
        data_dir=options.data_dir,
        threads=options.threads,
        accelerator=options.accelerator,
        timeout=options.timeout,
        allow_code=options.allow_code,
    )
    candidates = choose(run, options.candidate, allow_code=options.allow_code)
    places = _place(candidates, options.to or folder.path / "export")
    for place in places:
        refuse_target(place)
    preparation = find_preparation(run.config, options.data_dir)
    exports = []
    for candidate, place in zip(candidates, places, strict=True):
        said: list[str] = []

        def tell(text: str, said: list[str] = said) -> None:
            said.append(text)
            note(text)

        kept = find_or_train(folder, candidate, how, tell, open_session)
        model = load_kept(folder, candidate, kept, allow_code=options.allow_code)
        note(f"Exporting {candidate.placement} to {place}")
        trained = said[-1] if said else None
        facts = _gather(run, candidate, kept, preparation, trained, options, place)
        export = write_export(
            place,
            candidate,
            kept,
            model,
            read_images(run.config, preparation, kept.replicate),
            f"{candidate.backbone.name}, SE: {candidate.placement}; trained by se-search.",
            facts,
            is_random=preparation.prepared is None,
            with_onnx=options.onnx,
            graphs=graphs,
        )
        write_text(place / CARD, write_card(export))
        if options.onnx:  # who left it out knows
            for name, why in export.left_out.items():
                note(f"{name} is left out: {why}")
        record_export(folder, place, candidate, note)
        exports.append(export)
    return exports


def choose(run: Run, wanted: Sequence[str], *, allow_code: bool) -> list[Candidate]:
    """Return the candidates of a run that texts ask for, each once; see ``select_candidates``.

    Raises:
        CandidateError: a text is none.
        RunError: one asks for what the run does not have.
    """
    from se_search.store.run_space import read_backbone

    backbone = read_backbone(run.folder, allow_code=allow_code)
    found = [
        candidate
        for text in wanted
        for candidate in select_candidates(
            text, backbone, lambda: run.posterior, lambda: str(run.candidate())
        )
    ]
    return list(dict.fromkeys(found))


def describe_export(export: Export) -> Iterator[str]:
    """Yield the lines that say what an export has written."""
    kept = export.kept
    yield (
        f"{export.candidate.placement}: {100 * kept.accuracy:.2f} % of the validation images of "
        f"replicate {kept.replicate} are right after {count(kept.epochs, 'epoch')}"
    )
    images = "random images" if export.is_random else "validation images"
    for each in export.files:
        checked = (
            ""
            if each.difference is None
            else f", outputs of {export.num_images} {images} differ by up to {each.difference:.1e}"
        )
        yield f"  {each.name}: {describe_bytes(each.num_bytes)}{checked}"
    reasons: dict[str, list[str]] = {}
    for name, why in {**export.left_out, **export.failed}.items():
        reasons.setdefault(one_line(why), []).append(name)
    for why, names in reasons.items():
        yield f"  {', '.join(names)}: not written ({why})"
    yield f"Written to {one_line(str(export.folder))}; {CARD} says what it is and how to use it."


def export_event(export: Export) -> dict[str, Any]:
    """Return an export as plain data, for programs."""
    return {
        "folder": str(export.folder),
        "candidate": str(export.candidate),
        "placement": export.candidate.placement,
        "replicate": export.kept.replicate,
        "epochs": export.kept.epochs,
        "accuracy": export.kept.accuracy,
        "trained_again": export.facts["training"]["trained_again"],
        "files": list_files(export),
        "left_out": dict(export.left_out),
        "failed": dict(export.failed),
        "compared_on": {
            "images": export.num_images,
            "random": export.is_random,
        },
    }


def _place(candidates: Sequence[Candidate], to: Path) -> list[Path]:
    if len(candidates) == 1:
        return [to]
    return [to / (re.sub(r"[^A-Za-z0-9.+-]+", "_", each.placement)) for each in candidates]


def _gather(
    run: Run,
    candidate: Candidate,
    kept: KeptFile,
    preparation: Any,
    trained_again: str | None,
    options: ExportOptions,
    place: Path,
) -> dict[str, Any]:
    """Return what is known of an exported network, as plain data."""
    config = run.config
    identity, search = config["identity"], config["search"]
    record = find_first_training(candidate, run.records)
    cost = count_cost(candidate)
    words = ["--trials", str(search["trials"]), "--name", run.folder.path.name]
    export = ["export", run.folder.path.name, "--candidate", candidate.placement]
    code = ["--allow-code"] if options.allow_code else []
    return {
        "training": {
            "replicate": kept.replicate,
            "epochs": kept.epochs,
            "accuracy": kept.accuracy,
            "validation_images": identity["data"]["validation"],
            "trial": None if record is None else record.number,
            "device": kept.device or "unknown hardware",
            "precision": identity["precision"],
            "recipe": identity["recipe"],
            "recipe_hash": search.get("recipe_hash"),
            "protocol": identity.get("protocol"),
            "weights_sha256": kept.digest,
            "trained_again": trained_again,
        },
        "results": _find_results(run, candidate),
        "confirmed": _find_confirmed(run, candidate),
        "cost": {
            "params": cost.params,
            "added_params": cost.added_params,
            "added_params_pct": round(cost.added_params_pct, 4),
            "macs": cost.macs,
            "added_macs": cost.added_macs,
        },
        "data": {
            **{key: identity["data"][key] for key in ("train", "validation", "test")},
            "name": name_data(config),
            "fingerprint": identity["data"].get("fingerprint"),
            "preparation": preparation.to_json(),
            "lacking": preparation.lacking,
        },
        "origin": describe_origin(config),
        "search": {
            "run": run.folder.path.name,
            "hash": config.get("hash"),
            "answer": run.answer.what,
            "commands": [
                join_command(["run", *search["arguments"], *words]),
                join_command([*export, "--to", str(place), *code]),
            ],
        },
        "versions": read_versions(),
    }


def _find_results(run: Run, candidate: Candidate) -> Mapping[str, Any] | None:
    found = next((c for c in run.posterior.candidates if c.summary.key == candidate.key), None)
    if found is None or found.is_plain:
        return None
    return {
        "gain": found.gain,
        "low": found.low,
        "high": found.high,
        "plain_accuracy": run.posterior.plain_accuracy,
        "replicates": found.summary.num_replicates,
        "probability_on_front": found.probability_on_front,
    }


def _find_confirmed(run: Run, candidate: Candidate) -> Mapping[str, Any] | None:
    result = run.rounds[-1].result if run.rounds else None
    own = [] if result is None else [c for c in result.candidates if c.key == candidate.key]
    if not own or own[0].test_gain is None or own[0].test_accuracy is None:
        return None
    gained = own[0].test_gain
    return {
        "test_gain": gained.mean,
        "low": gained.low,
        "high": gained.high,
        "test_accuracy": own[0].test_accuracy,
        "replicates": gained.num_replicates,
    }
