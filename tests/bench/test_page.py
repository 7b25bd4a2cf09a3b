"""The page of the benchmarks."""

from dataclasses import replace
from html.parser import HTMLParser

from bench.page import Axis, draw, page
from bench.results import Measured, Outcome, Series, write

PAGE = Measured("<page> & more", "ms", "lower", "find", None, 1.5, None, "ms", [Series(10, [2, 3]), Series(1000, [40])])
FIND = Measured("find", "ms", "lower", "", None, None, None, "ms", [Series(10, [2, 2]), Series(1000, [20])])
RATE = Measured("rate", "per s", "higher", "", 50, None, None, "rates", [Series(None, [100, 120, 90])])
OUTCOME = Outcome(
    scenario="pages",
    title="Pages <script>",
    about="A & B",
    sizes="messages",
    options={"calls": 3},
    figures=[PAGE, FIND, RATE],
    notes={"lost": "<nobody>"},
    at=1_800_000_000.0,
    took_s=3.0,
    machine={"load_before": [1, 1, 1], "load_after": [2, 1, 1], "revision": "abc", "versions": {}},
)


class Elements(HTMLParser):
    """Fails where an element is not closed, or something is fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        assert not [value for name, value in attrs if name in ("src", "href") and not value.startswith("#")]
        if tag not in ("meta", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def elements(text):
    parser = Elements()
    parser.feed(text)
    assert parser.open == []
    return parser.seen


def test_the_page_is_whole_needs_nothing_else_and_takes_no_text_for_markup():
    text = page([OUTCOME])
    seen = elements(text)
    assert "script" not in seen
    assert "@import" not in text
    assert "url(" not in text
    for shown in ("&lt;page&gt; &amp; more", "Pages &lt;script&gt;", "A &amp; B", "&lt;nobody&gt;"):
        assert shown in text


def test_figures_over_sizes_are_lines_and_others_are_bars():
    text = page([OUTCOME])
    assert text.count("<path") == 2
    assert text.count('class="bar"') == 1


def test_every_point_says_in_words_what_it_is_and_can_be_reached_by_the_keyboard():
    text = page([OUTCOME])
    assert 'tabindex="0" role="img" aria-label="find, 1,000 messages: 20.0 ms"' in text
    assert "40.0 ms, 2.00 × find" in text


def test_goals_are_told_in_words():
    text = page([OUTCOME])
    assert '≤ 1.50 × <span class="held">held</span>' in text
    assert '≤ 1.50 × <span class="missed">missed</span>' in text
    assert '≥ 50.0 <span class="held">held</span>' in text


def test_an_empty_folder_and_files_that_are_no_results_still_make_a_page(tmp_path):
    assert "Nothing was measured yet" in draw(tmp_path).read_text()
    (tmp_path / "other.json").write_text('{"a": 1}')
    write(replace(OUTCOME, figures=[]), tmp_path)
    text = draw(tmp_path).read_text()
    assert "Not results: other.json" in text
    elements(text)


def test_an_axis_is_logarithmic_beyond_the_tenfold():
    near, far = Axis([2, 10], zero=True), Axis([1, 10, 100], zero=False)
    assert not near.logarithmic
    assert near.share(0) == 0
    assert far.logarithmic
    assert far.share(10) == 0.5
    for axis in (near, far, Axis([5], zero=True), Axis([5], zero=False), Axis([], zero=True)):
        assert all(0 <= at <= 1 for at, _ in axis.ticks())
