from hypothesis import HealthCheck, settings

# No law is a matter of time: machines are shared. `make test` tries the same examples whenever it runs; new ones are
# for `make test-explore`.
_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeatable", parent=_PATIENT, derandomize=True)
settings.register_profile("explore", parent=_PATIENT)
settings.load_profile("repeatable")
