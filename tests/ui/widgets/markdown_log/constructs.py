"""Markdown of every construct, whole and broken, for the property tests."""

from __future__ import annotations

from hypothesis import strategies as st

words = st.sampled_from(
    ["alpha", "beta *em*", "**strong** x", "`code`", "a_b_c", "~~gone~~", "[text](https://example.org/a)",
     "![alt](p.png)", "[ref]", "[ref][other]", "note[^1]", "<b>html</b>", "日本語の文章。", "x < y & z", "&amp;", "\\*",
     "**open", "`open", "[open](htt", "1", "1.", "-", "\ttab", "trailing  ", "back\\", "|", "👩‍👩‍👧", "é", "\x1b[31m",
     "https://example.org",
     "(http://a.example/b_c(d)).", "<https://a.example>", "[https://b.example](https://b.example)",
     "mailto:a@b.example",
     "$x_1^2$", "\\(\\alpha*b\\)", "$$a+b$$", "\\[c\\]", "$5", "10$", "$open", "\\(open",
     "$$", "[m $x$](/m)", "**$y$**"]
)  # fmt: skip
text = st.lists(words, min_size=1, max_size=5).map(" ".join)
lines = st.lists(text, min_size=1, max_size=3).map("\n".join)


def _fenced(fence: str, info: str, body: list[str], closing: str) -> str:
    return "\n".join([fence + info, *body, closing])


fences = st.builds(
    _fenced,
    st.sampled_from(["```", "~~~", "````", "  ```"]),
    st.sampled_from(["", "python", "js title=x", " sh "]),
    st.lists(st.sampled_from(["x = 1", "", "  def f():", "```", "~~~", "# c", "- no list", "'''"]), max_size=6),
    st.sampled_from(["```", "~~~", "````", "", "``", "   ```"]),
)
long_fences = st.builds(lambda count, closing: _fenced("```", "python", ["x = 1  # one"] * count, closing),
                        st.integers(45, 130), st.sampled_from(["```", ""]))  # fmt: skip
tables = st.builds(
    lambda delimiter, rows: "\n".join(["| a | b |", delimiter, *rows]),
    st.sampled_from(["|---|---|", "|:--|--:|", "|:-:|---|", "|--", "---|---"]),
    st.lists(st.sampled_from(["| 1 | 2 |", "| x | **y** |", "| only", "| a \\| b | c | d |", "|"]), max_size=5),
)
long_tables = st.integers(38, 70).map(
    lambda count: "| n | text |\n|---|---|\n" + "\n".join(f"| {n} | row {n} |" for n in range(count))
)
items = st.sampled_from(["- ", "* ", "1. ", "2. ", "10) ", "- [ ] ", "- [x] ", "  - ", "    - ", "   1. ", "-", "-   "])
lists = st.lists(
    st.builds(
        "{}{}{}".format,
        items,
        text,
        st.sampled_from(["", "\n", "\n  lazy", "\n\n    more", "\n\n  more", "\n   ```\n   x"]),
    ),
    min_size=1,
    max_size=6,
).map("\n".join)
quotes = st.builds(
    lambda body, lazy: "\n".join("> " + line for line in body.split("\n")) + lazy,
    st.one_of(lines, lists, fences, tables),
    st.sampled_from(["", "\nlazy", "\n>", "\n> > deeper"]),
)
other = st.sampled_from(
    ["# one", "###### six", "#no", "Setext\n===", "Setext\n---", "---", "***", "* * *", "<div>\nraw\n</div>",
     "<!-- open", "<!-- c -->", "<script>\nx\n\ny", "    indented\n\n    code", "[ref]: https://ref.example 'title'",
     "[ref]: /other", "[other]:\n  <target>\n  'title\nover lines'", "[^1]: note\n\n    more of it", "[^1]: ", "", " ",
     "\t", "\x0c", "\u2028", "a\\\nb", "a  \nb", "> ", ">", "-", "+", "1)", "| a |\n", "***open", "\ufeff", "\x00"]
)  # fmt: skip
formulas = st.builds(
    lambda opener, body, closer: opener + body + closer,
    st.sampled_from(["$$", "$$\n", "\\[\n", "\\[ ", "```math\n", "text\n$$\n", "text $$", "- $$\n  ", "> \\[\n> "]),
    st.lists(
        st.sampled_from(["x = 1", "\n", "\n", "\n- y", "\\frac{a}{b}", "\\begin{pmatrix} a & b \\\\",
             "\n= 2", "| z |", "\n\n", "\n> q"]),
        max_size=6,
    ).map("".join),
    st.sampled_from(["$$", "\n$$", "\n\\]", "\\]", "\n```", "", " $$ and", "\n$$.", "\n  $$", "\n> \\]"]),
)  # fmt: skip
long_text = st.integers(1, 3).map(lambda count: "A sentence with `code` and **marks**. " * (60 * count))
nested = st.integers(20, 120).map(
    lambda count: "- top\n" + "\n".join(f"  - nested item number {n} of many" for n in range(count))
)
blocks = st.one_of(lines, fences, tables, lists, quotes, formulas, other)
rare = st.one_of(blocks, blocks, blocks, blocks, blocks, long_fences, long_tables, long_text, nested)
ends = st.sampled_from(["\n\n", "\n", "\r\n\r\n", "\r\n", "\r", "\n\n\n", "\n \n", ""])


@st.composite
def documents(draw: st.DrawFn) -> str:
    """A text of a few blocks with any line ends between and within them."""
    text = "".join(draw(rare) + draw(ends) for _ in range(draw(st.integers(1, 7))))
    return text.replace("\n", "\r\n") if draw(st.integers(0, 9)) == 0 else text


@st.composite
def chunked(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A text, and the same in pieces."""
    text = draw(documents())
    size = draw(st.sampled_from([1, 2, 3, 5, 17, 80, 400]))
    if len(text) > 1500:
        size = max(size, len(text) // 40)
    elif size == 0 or draw(st.booleans()):
        cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=12)))
        return text, [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    return text, [text[at : at + size] for at in range(0, len(text), size)]


marks = st.lists(
    st.sampled_from(
        ["a", "b c. ", "\n", "\n\n", "- ", "  - ", "    ", "> ", "```", "```\n", "~~~\n", "| a | b |\n", "|---|---|\n",
         "| 1 | 2 |\n", "1. ", "2) ", "# ", "---\n", "===\n", "*", "**", "`", "[a]", "(x)", "[a]: /x\n", "[^1]: ",
         "<div>\n", "<!-- ", "-->", "\t", "\r", "\r\n", "\\", "  \n",
         "words of text. ", "    x\n", "   y\n", "[ ] ", "<script>",
         "$", "$$", "$$\n", "\\[", "\\]\n", "\\(a\\)", "```math\n", "https://a.b "]
    ),
    max_size=120,
)  # fmt: skip
"""Markdown in shreds, in an order nobody would write."""
