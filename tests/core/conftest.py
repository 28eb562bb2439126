"""No test here has a deadline: how fast the machine is says nothing about the rules."""

from hypothesis import settings

settings.register_profile("without-deadline", deadline=None, print_blob=True)
settings.load_profile("without-deadline")
