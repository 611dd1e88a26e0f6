"""How the text is read where it leaves room: our reading, and those we tolerate in a claim."""

from typing import NamedTuple


class Reading(NamedTuple):
    """A reading; the defaults are ours. `name` and `text` tell people about the others."""

    name: str = ""
    text: str = ""
    step_counts_unpriced: bool = False  # step_size rounds all volume, priced or not
    own_measurement_only: bool = False  # min_ asks MIN_ and max_ asks MAX_; absent counts as good
    shared_time_step: bool = False  # TIME and PARKING_TIME are rounded together
    whole_seconds: bool = False  # time totals are rounded to seconds first


OURS = Reading()
TOLERATED = (
    Reading(
        "whole_seconds",
        "times are rounded to whole seconds before step_size (hours of 4 decimals are coarser)",
        whole_seconds=True,
    ),
    Reading(
        "step_counts_unpriced",
        "step_size rounds the whole volume of a dimension, also what is free",
        step_counts_unpriced=True,
    ),
    Reading(
        "own_measurement_only",
        "min_ restrictions look at MIN_, max_ at MAX_ only, and hold when it was not measured",
        own_measurement_only=True,
    ),
    Reading(
        "both_of_a_common_tool",
        "step_size rounds what is free, too, and min_ looks at MIN_, max_ at MAX_ only",
        step_counts_unpriced=True,
        own_measurement_only=True,
    ),
    Reading(
        "shared_time_step",
        "charging and parking time are rounded together, as OCPI 2.2 had it",
        shared_time_step=True,
    ),
)
