"""How often Python looks for objects that only keep each other alive."""

import gc

from chat.serving.garbage import THRESHOLDS, seldom_collected


def test_inside_old_objects_are_let_alone_and_young_ones_looked_at_seldom_and_afterwards_all_is_as_it_was() -> None:
    before, frozen = gc.get_threshold(), gc.get_freeze_count()

    with seldom_collected():
        assert gc.get_threshold() == THRESHOLDS
        assert gc.get_freeze_count() > frozen + 1000

    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
