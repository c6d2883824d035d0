"""Local calendar days: what totals and limits go by. Apart from both, for the first screen needs no more of them."""

from datetime import UTC, date, datetime


def midnight(day: date) -> datetime:
    """Return the moment at which a local day begins, in UTC.

    Not through `astimezone`: where the clocks go forward at midnight it answers with an hour of the day before.
    """
    return datetime.fromtimestamp(datetime(day.year, day.month, day.day).timestamp(), UTC)
