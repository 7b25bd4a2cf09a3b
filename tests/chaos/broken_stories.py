"""A history by hand for each way to break a promise, and what the checker has to call it."""

from collections.abc import Callable

from chaos.handmade import LOG, Story, good, joined, left, message


def lost() -> Story:
    story = good()
    story.send("bob", "k4", 5)
    return story.end(LOG)


def never_shown() -> Story:
    story = good()
    story.send("bob", "k4", 5)
    story.told("ann", 5, "bob", "k4")
    return story.end((*LOG, message(5, "bob", "k4")), "ann", "bob")


def not_paged() -> Story:
    story = good()
    story.device("cid", at=1)
    story.subscribed("cid", 4, was_recovering=True)
    story.page("cid", (LOG[1], LOG[2]), fills=True)
    return story.end(LOG, "cid")


def not_readable() -> Story:
    return good().end(LOG).end(LOG[1:3], source="rest by h2", acked=4)


def log_not_read() -> Story:
    return good()


def stored_twice() -> Story:
    story = good()
    return story.end((*LOG, message(5, "ann", "k3")))


def two_answers() -> Story:
    story = good()
    story.invoke("ann", "k3", attempt=2)
    story.answer("ok", "ann", "k3", 5, attempt=2, duplicate=True)
    return story.end((*LOG, joined(5, "zoe")))


def shown_twice() -> Story:
    story = good()
    story.told("bob", 5, "ann", "k3")
    return story.end((*LOG, message(5, "ann", "")), "bob")


def somebody_elses() -> Story:
    story = good()
    story.invoke("bob", "k1")
    story.answer("ok", "bob", "k1", 2, sender="ann", duplicate=True)
    return story.end(LOG)


def hole() -> Story:
    story = good()
    story.send("ann", "k4", 6)
    return story.end((*LOG, message(6, "ann", "k4")))


def skip() -> Story:
    story = good()
    story.device("cid", at=1)
    story.told("cid", 2, "ann", "k1")
    story.told("cid", 4, "ann", "k3")
    return story.end(LOG)


def out_of_order() -> Story:
    story = good()
    story.device("cid", at=2)
    story.told("cid", 2, "ann", "k1")
    return story.end(LOG)


def went_back() -> Story:
    story = good()
    story.subscribed("bob", 2, was_recovering=True)
    return story.end(LOG)


def overtook() -> Story:
    story = good()
    story.send("bob", "k5", 6)
    story.send("ann", "k4", 5)
    return story.end((*LOG, message(5, "ann", "k4"), message(6, "bob", "k5")))


def changed_places() -> Story:
    story = good()
    story.invoke("ann", "k4")
    story.invoke("ann", "k5")
    story.answer("ok", "ann", "k4", 6)
    story.answer("ok", "ann", "k5", 5)
    return story.end((*LOG, message(5, "ann", "k5"), message(6, "ann", "k4")))


def never_sent() -> Story:
    return good().end((*LOG, message(5, "bob", "k9")))


def refused_and_there() -> Story:
    story = good()
    story.invoke("bob", "k4")
    story.answer("fail", "bob", "k4", code=103)
    return story.end((*LOG, message(5, "bob", "k4")))


def ghost() -> Story:
    story = good()
    story.invoke("bob", "k4")
    story.answer("info", "bob", "k4", why="error")
    story.told("ann", 5, "bob", "k4")
    return story.end(LOG)


def disagree() -> Story:
    story = good()
    story.device("cid", at=3)
    story.told("cid", 4, "bob", "k2")
    return story.end(LOG)


def page_disagrees() -> Story:
    story = good()
    story.page("ann", (message(4, "bob", "k2"),))
    return story.end(LOG)


def acknowledged_elsewhere() -> Story:
    story = good()
    story.send("bob", "k4", 6)
    return story.end((*LOG, message(5, "bob", "k4"), joined(6, "zoe")))


def page_skips() -> Story:
    story = good()
    story.page("ann", (LOG[1], LOG[3]))
    return story.end(LOG)


def leak() -> Story:
    story = good()
    story.device("eve", stranger=True, at=None)
    story.told("eve", 4, "ann", "k3", via="resume")
    return story.end(LOG)


def leak_after_removal() -> Story:
    story = good()
    story.member("invoke", "bob", came=False)
    story.member("ok", "bob", came=False)
    story.wait(5)
    story.send("ann", "k4", 6)
    story.told("bob", 5, "ann", "", kind="member.left")
    story.told("bob", 6, "ann", "k4")
    return story.end((*LOG, left(5, "bob"), message(6, "ann", "k4")))


def page_leaked() -> Story:
    story = good()
    story.device("eve", stranger=True, at=None)
    story.page("eve", LOG[1:])
    return story.end(LOG)


def stuck() -> Story:
    story = good()
    story.invoke("ann", "k4")
    story.wait(7)
    story.answer("info", "ann", "k4", why="timeout")
    return story.end(LOG)


def answered_late() -> Story:
    story = good()
    story.invoke("ann", "k4")
    story.wait(6)
    story.answer("ok", "ann", "k4", 5)
    return story.end((*LOG, message(5, "ann", "k4")))


def never_answered() -> Story:
    story = good()
    story.invoke("ann", "k4")
    return story.end(LOG)


def healed_late() -> Story:
    story = good()
    story.fault("begin")
    story.fault("end", within_s=10)
    story.wait(12)
    story.fault("healed")
    return story.end(LOG)


def not_healed() -> Story:
    story = good()
    story.fault("begin")
    story.fault("end")
    story.fault("unhealed")
    return story.end(LOG)


def descriptors_leaked() -> Story:
    story = good()
    story.sample("before", 60)
    story.sample("after", 120)
    return story.end(LOG)


VIOLATIONS: list[tuple[Callable[[], Story], str, str]] = [
    (lost, "I1", "lost"),
    (never_shown, "I1", "never shown"),
    (not_paged, "I1", "never shown"),
    (not_readable, "I1", "not readable"),
    (log_not_read, "I8", "log not read"),
    (stored_twice, "I2", "stored twice"),
    (two_answers, "I2", "two answers"),
    (shown_twice, "I2", "shown twice"),
    (somebody_elses, "I2", "somebody else's message"),
    (hole, "I3", "hole"),
    (skip, "I3", "skip"),
    (out_of_order, "I3", "out of order"),
    (went_back, "I3", "went back"),
    (overtook, "I3", "overtook"),
    (changed_places, "I3", "changed places"),
    (page_skips, "I3", "skipped"),
    (never_sent, "I4", "never sent"),
    (refused_and_there, "I4", "refused and there"),
    (ghost, "I4", "not in the log"),
    (disagree, "I5", "disagree"),
    (page_disagrees, "I5", "disagree"),
    (acknowledged_elsewhere, "I5", "acknowledged elsewhere"),
    (leak, "I6", "leak"),
    (leak_after_removal, "I6", "leak"),
    (page_leaked, "I6", "page leaked"),
    (stuck, "I7", "stuck"),
    (answered_late, "I7", "stuck"),
    (never_answered, "I7", "stuck"),
    (healed_late, "I8", "healed late"),
    (not_healed, "I8", "not healed"),
    (descriptors_leaked, "I8", "not given back"),
]
