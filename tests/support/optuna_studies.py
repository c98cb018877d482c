"""What Optuna itself finds in a run's file."""

import optuna


def load_optuna_study(path, name="se-search"):
    """Return a copy of the Optuna study in a SQLite file; the file is closed again."""
    source = optuna.storages.RDBStorage(f"sqlite:///{path}")
    target = optuna.storages.InMemoryStorage()
    try:
        optuna.copy_study(from_study_name=name, from_storage=source, to_storage=target)
        return optuna.load_study(study_name=name, storage=target)
    finally:
        source.remove_session()
        source.engine.dispose()
