"""Which offsets of a log a page of history has."""

from hypothesis import given
from hypothesis import strategies as st

from chat.http.server_api.reading import span

offsets = st.integers(min_value=0, max_value=60)


@given(head=offsets, since=st.none() | offsets, limit=st.integers(min_value=0, max_value=50), reverse=st.booleans())
def test_a_page_is_what_a_list_would_give(head, since, limit, reverse):
    entries = list(range(1, head + 1))
    if reverse:
        wanted = [one for one in reversed(entries) if since is None or one < since][:limit]
    else:
        wanted = [one for one in entries if since is None or one > since][:limit]
    after, upto = span(head, since=since, limit=limit, reverse=reverse)
    got = [one for one in entries if after < one <= upto]
    assert (got[::-1] if reverse else got) == wanted
