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


def test_readers_say_nothing_and_change_nothing_but_what_is_theirs():
    theirs = {Right.READ, Right.LEAVE, Right.DELETE_OWN}
    for right, kind in product(set(Right) - theirs, ConversationKind):
        assert allowed(right, kind, Role.READER) is (right is Right.REACT and kind is ConversationKind.CHANNEL)


def test_in_a_channel_moderators_write():
    writers = {role for role in Role if allowed(Right.SEND, ConversationKind.CHANNEL, role)}
    assert writers == {Role.OWNER, Role.ADMIN, Role.MODERATOR}


ABOUT_MEMBERS = (
    Right.INVITE,
    Right.ADD_MEMBERS,
    Right.REMOVE_MEMBER,
    Right.BAN,
    Right.MUTE,
    Right.SET_ROLE,
    Right.LEAVE,
)


@pytest.mark.parametrize("kind", [ConversationKind.DIRECT, ConversationKind.THREAD])
def test_who_is_in_a_direct_conversation_or_a_thread_is_nobodys_to_change(kind):
    for right, role in product(ABOUT_MEMBERS, Role):
        assert not allowed(right, kind, role)


def test_in_a_direct_conversation_nobody_touches_what_the_other_said():
    for right, role in product((Right.EDIT_ANY, Right.DELETE_ANY, Right.READ_VERSIONS), Role):
        assert not allowed(right, ConversationKind.DIRECT, role)


def test_owners_act_on_everyone_and_others_on_those_below_them():
    for actor, subject in product(Role, Role):
        assert outranks(actor, subject) is (actor is Role.OWNER or RANK[actor] > RANK[subject])
    assert not any(outranks(role, role) for role in set(Role) - {Role.OWNER})
