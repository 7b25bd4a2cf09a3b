"""What several share is made once."""

from chat.lately import KEPT, Lately


def test_of_one_object_it_is_made_once_and_of_an_equal_one_again():
    made: list[list[int]] = []
    lately = Lately(lambda of: made.append(of) or len(made))
    one, equal = [1], [1]
    assert [lately(one), lately(one), lately(equal), lately(one)] == [1, 1, 2, 1]


def test_only_the_last_few_are_kept():
    made: list[object] = []
    lately = Lately(lambda of: made.append(of) or len(made))
    objects = [object() for _ in range(KEPT + 1)]
    assert [lately(of) for of in objects] == list(range(1, KEPT + 2))
    assert lately(objects[-1]) == KEPT + 1
    assert lately(objects[0]) == KEPT + 2
