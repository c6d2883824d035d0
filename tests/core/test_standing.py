"""How models stand by votes."""

import math
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_chat.core.standing import MIDDLE, Vote, standing

AT = datetime(2026, 1, 2, tzinfo=UTC)
NAMES = ("work/a", "work/b", "far/c", "far/d", "demo/quick")


def vote(*models, winner=None):
    return Vote("v", "t", AT, models, winner)


@st.composite
def any_votes(draw):
    votes = []
    for models in draw(st.lists(st.lists(st.sampled_from(NAMES), max_size=5), max_size=20)):
        winner = draw(st.sampled_from((None, *models)))
        votes += [vote(*models, winner=winner)] * draw(st.sampled_from((1, 1, 2, 50)))
    return votes


@given(any_votes())
def test_strengths_of_any_votes_are_finite_and_the_counts_add_up(votes):
    found = standing(votes)
    for each in found:
        assert math.isfinite(each.strength)
        assert each.n == each.wins + each.ties + each.losses > 0
        assert 0 <= each.rate <= 1
        assert each.few == (each.n < 5)
    judged = [one for one in votes if len(set(one.models)) > 1]
    assert sum(each.n for each in found) == sum(len(set(one.models)) for one in judged)
    assert sum(each.wins for each in found) == sum(one.winner is not None for one in judged)
    assert [each.strength for each in found] == sorted((each.strength for each in found), reverse=True)


@given(any_votes(), st.randoms())
def test_the_order_of_votes_and_of_models_in_them_changes_nothing(votes, rnd):
    mixed = [vote(*rnd.sample(one.models, len(one.models)), winner=one.winner) for one in votes]
    rnd.shuffle(mixed)
    assert standing(mixed) == standing(votes)


@given(any_votes())
def test_a_model_that_wins_every_vote_is_first(votes):
    swept = [vote("new/best", *one.models, winner="new/best") for one in votes if one.models]
    found = standing(swept)
    if found:
        assert found[0].model == "new/best"
        assert found[0].strength > MIDDLE > found[1].strength
        assert found[0].rate == 1


@given(any_votes(), st.sampled_from(NAMES), st.sampled_from(NAMES))
def test_another_win_never_weakens(votes, winner, loser):
    strengths = {each.model: each.strength for each in standing(votes)}
    after = {each.model: each.strength for each in standing([*votes, vote(winner, loser, winner=winner)])}
    if winner != loser:
        assert after[winner] >= strengths.get(winner, MIDDLE)
        assert after[loser] <= strengths.get(loser, MIDDLE)


@given(any_votes())
def test_the_strengths_are_the_likeliest_ones(votes):
    """At the top the surplus of wins over what the strengths let expect only balances the first belief."""
    found = standing(votes)
    logs = {each.model: (each.strength - MIDDLE) * math.log(10) / 400 for each in found}
    surplus = {model: -log / 4 for model, log in logs.items()}
    weight = 1.0
    for one in votes:
        models = set(one.models)
        for model in models if len(models) > 1 else ():
            rivals = models - {model} if one.winner in (None, model) else {one.winner}
            for rival in rivals:
                share = 0.5 if one.winner is None else float(one.winner == model)
                surplus[model] += share - 1 / (1 + math.exp(logs[rival] - logs[model]))
                weight += 1
    assert all(abs(each) < 0.001 * weight for each in surplus.values()), "strengths are rounded to a tenth"


def test_models_with_the_same_votes_are_equal():
    found = standing([vote("x/a", "x/b", "x/c"), vote("x/a", "x/b", winner="x/a"), vote("x/a", "x/b", winner="x/b")])
    assert {each.strength for each in found} == {MIDDLE}
    assert [(each.model, each.n, each.wins, each.ties, each.losses) for each in found] == [
        ("x/a", 3, 1, 1, 1), ("x/b", 3, 1, 1, 1), ("x/c", 1, 0, 1, 0),
    ]  # fmt: skip


def test_the_losers_of_a_vote_are_not_ranked_among_one_another():
    found = standing([vote("x/a", "x/b", "x/c", winner="x/b")] * 10)
    strengths = {each.model: each.strength for each in found}
    assert strengths["x/a"] == strengths["x/c"] < strengths["x/b"]


def test_who_beats_the_strong_is_stronger_than_who_beats_the_weak():
    votes = [vote("x/strong", "x/weak", winner="x/strong")] * 20
    votes += [vote("x/one", "x/strong", winner="x/one"), vote("x/two", "x/weak", winner="x/two")]
    names = [each.model for each in standing(votes)]
    assert names.index("x/one") < names.index("x/two")


@pytest.mark.parametrize("times", [1, 1_000])
def test_votes_that_never_meet_and_those_that_are_one_sided_come_to_an_end(times):
    chain = [vote(f"x/{n:02}", f"x/{n + 1:02}", winner=f"x/{n:02}") for n in range(30)]
    alone = [vote("y/a", "y/b", winner="y/b")]
    started = time.monotonic()
    found = standing((chain + alone) * times)
    assert time.monotonic() - started < 5
    ranked = [each.model for each in found if each.model.startswith("x/")]
    assert ranked == sorted(ranked)
