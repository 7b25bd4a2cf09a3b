"""Who may do what: the table has an answer for everything, and no role may less than one below it."""

from itertools import pairwise, product

import pytest

from chat.usecases.rights import RANK, TABLE, Right, allowed, outranks
from storage.model import ConversationKind, Role

BY_RANK = sorted(Role, key=RANK.__getitem__)


def test_the_table_has_every_right_for_every_kind():
    assert set(TABLE) == set(Right)
    assert all(set(of_kinds) == set(ConversationKind) for of_kinds in TABLE.values())
    assert set(RANK) == set(Role)


@pytest.mark.parametrize(("right", "kind"), list(product(Right, ConversationKind)))
def test_what_a_role_may_every_higher_one_may(right, kind):
    for lower, higher in pairwise(BY_RANK):
        assert allowed(right, kind, higher) or not allowed(right, kind, lower)


def test_every_member_may_read():
    assert all(allowed(Right.READ, kind, role) for kind, role in product(ConversationKind, Role))


def test_readers_only_read_and_leave():
    for right, kind in product(set(Right) - {Right.READ, Right.LEAVE}, ConversationKind):
        assert not allowed(right, kind, Role.READER)


def test_in_a_channel_moderators_write():
    writers = {role for role in Role if allowed(Right.SEND, ConversationKind.CHANNEL, role)}
    assert writers == {Role.OWNER, Role.ADMIN, Role.MODERATOR}


@pytest.mark.parametrize("kind", [ConversationKind.DIRECT, ConversationKind.THREAD])
def test_who_is_in_a_direct_conversation_or_a_thread_is_nobodys_to_change(kind):
    for right, role in product(set(Right) - {Right.READ, Right.SEND}, Role):
        assert not allowed(right, kind, role)


def test_owners_act_on_everyone_and_others_on_those_below_them():
    for actor, subject in product(Role, Role):
        assert outranks(actor, subject) is (actor is Role.OWNER or RANK[actor] > RANK[subject])
    assert not any(outranks(role, role) for role in set(Role) - {Role.OWNER})
