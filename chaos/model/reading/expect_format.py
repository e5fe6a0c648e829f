"""The form of `expect`: oracles, the settings they use, declared statuses, limits per phase."""

from __future__ import annotations

from chaos.model.reading.groups import Field, ListOf, MapOf, Record
from chaos.model.reading.limits import MAX_RATE_PER_S, MAX_TIMELINE_MS
from chaos.model.reading.measured import Duration, Rate
from chaos.model.reading.plain import Choice, Fraction, Name, Number, Whole
from chaos.model.reading.vocabulary import Vocabulary

__all__ = ["expect_format", "settings_format"]


def expect_format(vocabulary: Vocabulary) -> Record:
    """What the drill expects."""
    fields = {
        "oracles": Field(
            ListOf(Choice(what="oracle", words=vocabulary.oracles), "oracle", 64),
            "Which properties are judged",
            list(vocabulary.oracles)[:2],
            default="all",
        ),
        "settings": Field(settings_format(), "Numbers the verdicts rest on", {"settle": "2s"}),
        "statuses": Field(
            MapOf(ListOf(Whole(least=400, most=599, example=409), "status", 32), "operation", keys=Name()),
            "Further error statuses that are right for an operation while a fault concerns it",
            {"ingest": [409]},
        ),
        "retries": Field(
            MapOf(_retries(), "operation", keys=Name()),
            "Caps of an operation in place of retry_attempts and retry_factor",
            {"task": {"attempts": 8}},
        ),
        "confirm": Field(
            Whole(least=0, most=3, example=3),
            "Second runs, at most, to confirm what rests on time; 0 for none. On a system that the run does not start there are none by default",
            3,
            default="3",
        ),
        "phases": Field(_phases(), "Limits a phase must keep", {"baseline": {"p99": "1s"}}),
    }
    return Record(
        "expectation", fields, about="Expectations. By default every oracle is asked, with its default settings"
    )


def _duration(about: str, default: str, example: str) -> Field:
    return Field(Duration(most_ms=10 * 60_000, example=example), about, example, default=default)


def _share(about: str, default: str, example: str) -> Field:
    return Field(Fraction(example=example), about, example, default=default)


def _factor(about: str, default: int) -> Field:
    return Field(Number(least=1, most=1000, example=default), about, default, default=str(default))


def settings_format() -> Record:
    """One key for each field of `Settings`, in human units (a field `settle_ms` is the key `settle`)."""
    fields = {
        "settle": _duration("Operations stay exposed to a fault this long after it healed", "2s", "2s"),
        "bound_slack": _duration(
            "An answer is in time until its deadline and this, or the ratio below", "100ms", "100ms"
        ),
        "bound_slack_ratio": _share("The same as a share of the deadline; the larger counts", "10%", "10%"),
        "required_operations": Field(
            Whole(least=1, most=100_000, example=20), "Decided operations a cell needs to hold", 20, default="20"
        ),
        "undecided_ratio": _share("Share of undecided operations that a cell tolerates (at least one)", "1%", "1%"),
        "loop_lag": _duration(
            "Driver lag above this leaves the operations it overlaps undecided on time", "50ms", "50ms"
        ),
        "speed_factor": _factor("Back at speed is the baseline's median times this", 3),
        "speed_floor": _duration("or the baseline's median plus this, whichever is more", "50ms", "50ms"),
        "isolation_factor": _factor("Undisturbed by a fault elsewhere is the baseline's median times this", 3),
        "isolation_floor": _duration("or the baseline's median plus this, whichever is more", "50ms", "50ms"),
        "retry_attempts": Field(
            Whole(least=1, most=1000, example=5), "Attempts a service may make at the same thing", 5, default="5"
        ),
        "retry_factor": _factor("An operation may cause as many messages as in the baseline times this", 3),
        "heal_deadline": _duration("Time for healing a link before a fault counts as remaining", "5s", "5s"),
        "quiet": _duration("Time for the stores to come to rest before effects are read back", "25s", "25s"),
        "late": _duration("An operation started later than this after its time was started late", "100ms", "100ms"),
        "load_loss_ratio": _share("More late or dropped starts than this make a phase unknown", "5%", "5%"),
        "baseline_ok_ratio": _share("Share of answers that must be ok for a steady baseline", "99.9%", "99.9%"),
        "baseline_median_ratio": _share("How far the medians of two steady windows may be apart", "25%", "25%"),
        "baseline_median_floor": _duration("A smaller difference of medians than this is noise", "50ms", "50ms"),
    }
    return Record("group of settings", fields, about="Settings of the oracles; the values used stand in the report")


def _retries() -> Record:
    fields = {
        "attempts": Field(Whole(least=1, most=1000, example=8), "Attempts a service may make at the same thing", 8),
        "factor": Field(Number(least=1, most=1000, example=4), "Messages in all, as a multiple of the baseline's", 4),
    }
    return Record("set of caps", fields, about="How often may be tried again; what is left out is as in the settings")


def _phases() -> Record:
    limits = {
        "error_rate": Field(Fraction(example="0.1%"), "Largest share of answers that are not ok", "0.1%"),
        "p50": Field(_latency(), "Largest median latency, from the intended start", "200ms"),
        "p99": Field(_latency(), "Largest 99th percentile of latency, from the intended start", "1s"),
        "min_rate": Field(Rate(most_per_s=MAX_RATE_PER_S), "Least answered operations per unit of time", "5/s"),
    }
    phases = {
        "baseline": "before the first fault",
        "faults": "from the first fault until healing",
        "recovery": "after healing",
    }
    record = Record("phase", limits, about="Limits of the phase; what is left out is not asked")
    fields = {name: Field(record, f"Limits {about}", {"p99": "1s"}) for name, about in phases.items()}
    return Record("set of phases", fields, about="Limits per phase")


def _latency() -> Duration:
    return Duration(least_ms=0.001, most_ms=MAX_TIMELINE_MS, example="1s")
