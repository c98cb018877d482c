"""Run folders without a search: the record of a space and a backbone, and made-up trials."""

from se_search.store.run_folder import RunFolder
from se_search.store.run_space import write_backbone


def begin_run(path, space, **identity):
    """Make the folder of a run that searches a bound space; return it.

    Args:
        path: of the folder.
        space: a ``BoundSpace``.
        identity: what else the configuration records.
    """
    path.mkdir(parents=True, exist_ok=True)
    folder = RunFolder(path)
    recorded = space.space.model_dump(mode="json", exclude={"description"})
    folder.write_config({"identity": {"space": recorded, **identity}})
    write_backbone(folder, space.backbone)
    return folder
