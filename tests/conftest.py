from hypothesis import HealthCheck, settings

# The same examples in every run, however slow the machine is; nothing is kept between runs.
settings.register_profile(
    "suite",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("suite")
