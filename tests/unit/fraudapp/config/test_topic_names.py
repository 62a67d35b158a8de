"""Two settings of one topic stop the start, since its records would be misread."""

from __future__ import annotations

import re
from itertools import combinations, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraudapp.application import build
from fraudapp.config.topic_names import MADE_FROM_ID
from fraudapp.settings import Settings, SettingsError, load

TOPICS = ("TRANSACTIONS_TOPIC", "DECISIONS_TOPIC", "DEAD_LETTERS_TOPIC")

# Few characters, so that names collide; Kafka takes some of them for each other.
names = st.text("a._-", min_size=1, max_size=4).filter(lambda name: name not in (".", ".."))
made = st.builds("{}-{}".format, names, st.sampled_from(MADE_FROM_ID))


def all_topics(settings: Settings) -> list[str]:
    """Return the names of all topics, as the broker gets them."""
    own = [f"{settings.app_id}-{end}" for end in MADE_FROM_ID]
    return [*own, *(getattr(settings, name.lower()) for name in TOPICS)]


@pytest.mark.parametrize(("one", "other"), list(permutations(TOPICS, 2)))
@pytest.mark.parametrize("name", ["same", "default"])
def test_two_settings_of_one_topic_are_both_named(one: str, other: str, name: str) -> None:
    given = {f"FRAUD_{one}": name, f"FRAUD_{other}": name}
    if name == "default":
        del given[f"FRAUD_{other}"]
        given[f"FRAUD_{one}"] = getattr(load({}), other.lower())
    with pytest.raises(SettingsError) as caught:
        load(given)
    assert f"FRAUD_{one}=" in caught.value.message
    assert f"FRAUD_{other}=" in caught.value.message


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("end", MADE_FROM_ID)
def test_topics_that_are_made_from_the_id_are_nobody_elses(topic: str, end: str) -> None:
    for name in (f"my.app-{end}", f"my_app-{end}"):
        with pytest.raises(SettingsError, match=rf"FRAUD_{topic}=.*FRAUD_APP_ID=my\.app"):
            load({"FRAUD_APP_ID": "my.app", f"FRAUD_{topic}": name})


def test_an_id_that_leaves_no_room_for_its_topics_is_refused() -> None:
    longest = max(map(len, MADE_FROM_ID))
    assert load({"FRAUD_APP_ID": "a" * (248 - longest)})
    with pytest.raises(SettingsError, match=r"FRAUD_APP_ID=aaa.* is too long"):
        load({"FRAUD_APP_ID": "a" * (249 - longest)})


def test_the_tables_write_to_the_topics_that_are_held_back_for_them() -> None:
    app = build(load({})).app
    ends = {topic.removeprefix(f"{app.conf.id}-") for topic in app.tables.changelog_topics}
    assert ends
    assert ends <= set(MADE_FROM_ID)


@given(names, names | made, names | made, names | made)
def test_settings_are_accepted_if_and_only_if_all_topics_differ(
    app_id: str, transactions: str, decisions: str, dead_letters: str
) -> None:
    given_ = dict(zip(TOPICS, (transactions, decisions, dead_letters), strict=True))
    own = [f"{app_id}-{end}" for end in MADE_FROM_ID]
    alike = [re.sub(r"\.", "_", name) for name in [*own, *given_.values()]]
    differ = all(one != other for one, other in combinations(alike, 2))
    environment = {f"FRAUD_{name}": value for name, value in given_.items()}
    try:
        settings = load({"FRAUD_APP_ID": app_id, **environment})
    except SettingsError:
        assert not differ
    else:
        assert differ
        assert len(set(all_topics(settings))) == len(alike)
