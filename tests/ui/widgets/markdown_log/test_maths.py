"""Formulas can be read, are copied as they were written, and money is money."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_chat.ui.widgets.markdown_log.document import MarkdownDocument
from tui_chat.ui.widgets.markdown_log.maths import unicode_of
from tui_chat.ui.widgets.markdown_log.render import Palette, Renderer, Row

READ = {
    r"x^2 + y^2 = z^2": "x² + y² = z²",
    r"E = mc^2": "E = mc²",
    r"x = \frac{-b \pm \sqrt{b^2 - 4ac}}{2a}": "x = (−b ± √(b² − 4ac))/(2a)",
    r"\sum_{i=1}^{n} i = \frac{n(n+1)}{2}": "∑ᵢ₌₁ⁿ i = n(n+1)/2",
    r"\int_0^\infty e^{-x^2}\,dx = \frac{\sqrt{\pi}}{2}": "∫₀^∞ e^(−x²) dx = √π/2",
    r"\lim_{x \to 0} \frac{\sin x}{x} = 1": "lim_(x→0) (sin x)/x = 1",
    r"\nabla \cdot \mathbf{E} = \frac{\rho}{\varepsilon_0}": "∇ · E = ρ/ε₀",
    r"f: \mathbb{R}^n \to \mathbb{R}": "f: ℝⁿ → ℝ",
    r"P(A \mid B) = \frac{P(B \mid A)\,P(A)}{P(B)}": "P(A ∣ B) = (P(B ∣ A) P(A))/P(B)",
    r"\mathcal{L}(\theta) = -\sum_i \log p_\theta(x_i)": "ℒ(θ) = −∑ᵢ log p_θ(xᵢ)",
    r"a_{ij} + a_{i,j} + d_{\text{model}}": "aᵢⱼ + a_(i,j) + d_model",
    r"\hat{y} = \bar{x} + \vec{v}": "y\u0302 = x\u0304 + v\u20d7",
    r"\left( \frac{1}{2} \right)^n": "(½)ⁿ",
    r"e^{i\pi} + 1 = 0": "e^(iπ) + 1 = 0",
    r"\text{softmax}(x_i) = \frac{e^{x_i}}{\sum_j e^{x_j}}": "softmax(xᵢ) = e^(xᵢ)/(∑ⱼ e^(xⱼ))",
    r"O(n \log n)": "O(n log n)",
    r"\frac{\partial f}{\partial x}": "∂f/∂x",
    r"\frac{d^2y}{dx^2}": "d²y/dx²",
    r"\binom{n}{k} = \frac{n!}{k!(n-k)!}": "(n choose k) = n!/(k!(n−k)!)",
    r"\forall x \in A \; \exists y \notin B": "∀x ∈ A ∃y ∉ B",
    r"A \cup B \subseteq C \setminus D": "A ∪ B ⊆ C ∖ D",
    r"\sqrt[3]{x+1}": "∛(x+1)",
    r"\|x\|_2 \leq \epsilon": "‖x‖₂ ≤ ϵ",
    r"90^\circ": "90°",
    r"f'(x)": "f′(x)",
    r"\operatorname{argmax}_{\theta} L(\theta)": "argmax_θ L(θ)",
    r"x \equiv 1 \pmod{7}": "x ≡ 1 (mod 7)",
    r"\lfloor x \rfloor": "⌊x⌋",
    r"\sigma(z)=\frac{1}{1+e^{-z}}": "σ(z) = 1/(1+e⁻ᶻ)",
    r"x_1, x_2, \ldots, x_n": "x₁, x₂, …, xₙ",
    r"6.022 \times 10^{23}\ \text{mol}^{-1}": "6.022 × 10²³ mol⁻¹",
    r"\text{softmax}\left(\frac{QK^T}{\sqrt{d_k}}\right)V": "softmax(QKᵀ/√dₖ)V",
    r"\max_{a} Q(s,a)": "maxₐ Q(s,a)",
    r"x \not= y, x \not\in A": "x ≠ y, x ∉ A",
    r"(a) \Rightarrow (b) \iff c": "(a) ⇒ (b) ⟺ c",
    r"A = \begin{pmatrix} a & b \\ c & d \end{pmatrix}": "A = ⎛ a  b ⎞\n    ⎝ c  d ⎠",
    r"f(x) = \begin{cases} x & \text{if } x > 0 \\ 0 & \text{otherwise} \end{cases}": "f(x) = ⎧ x  if x > 0\n"
    "       ⎩ 0  otherwise",
    r"\begin{aligned} (a+b)^2 &= a^2 + 2ab + b^2 \\ &\geq 0 \end{aligned}": "(a+b)² = a² + 2ab + b²\n       ≥ 0",
    r"\det\begin{vmatrix}1&2\\3&4\end{vmatrix}=-2": "det │ 1  2 │ = −2\n    │ 3  4 │",
    r"a \quad b \\ c": "a   b\nc",
    r"\boxed{x} \unknown{y} \thing": "x unknown(y) thing",
    r"\Delta t = 5\,\%": "Δt = 5 %",
    r"\frac{a": r"\frac{a",
    r"a}b": r"a}b",
}


@pytest.mark.parametrize("latex", READ)
def test_what_models_write_can_be_read(latex: str) -> None:
    assert unicode_of(latex) == READ[latex]


def test_a_matrix_within_a_line_has_one_row() -> None:
    assert unicode_of(r"A = \begin{pmatrix} a & b \\ c & d \end{pmatrix}", flat=True) == "A = (a b; c d)"


COMMANDS = (
    r"\frac { } { } ^ _ \sqrt [ ] \begin{pmatrix} \end{pmatrix} \begin{cases} & \\ x 12 \left( \right) \hat \text "
    r"\alpha \sum \not \overset \overline \sin \limits \mathbb ' - = \operatorname \binom \begin \end \ ~ \tag \, \\["
)
shreds = st.lists(
    st.sampled_from([*COMMANDS.split(), " ", "\n", "é", "日"]),
    max_size=60,
).map("".join)


@settings(max_examples=300, deadline=None)
@given(shreds, st.booleans())
def test_anything_can_be_converted_and_what_has_one_row_keeps_it(latex: str, flat: bool) -> None:
    text = unicode_of(latex + "}" * max(0, latex.count("{") - latex.count("}")), flat=flat)
    assert not (flat and "\n" in text.strip() and "\n" not in latex)


@pytest.mark.parametrize(
    "part", [r"\frac", r"\overline", r"\hat", r"\sqrt[", r"\not", "x^", "{x", r"\begin{matrix}", r"\left(", "&", r"\\ "]
)
def test_hostile_formulas_take_no_time(part: str) -> None:
    start = time.process_time()
    for latex in (part * (1_900 // len(part)), part * 23 + "x" + "}" * (23 if part == "{x" else 0)):
        unicode_of(latex)
        unicode_of(latex, flat=True)
    assert time.process_time() - start < 0.5


def rows_of(source: str, width: int = 80) -> list[Row]:
    renderer = Renderer(width, Palette())
    return [row for block in MarkdownDocument.whole(source).sealed for row in renderer.rows(block)]


def drawn(source: str, width: int = 80) -> list[str]:
    return [row.strip.text.rstrip() for row in rows_of(source, width)]


def copied(source: str, width: int = 80) -> str:
    return "".join(row.glue + row.text for row in rows_of(source, width)).removeprefix("\n")


@pytest.mark.parametrize(
    "source",
    [
        "between $5 and $10",
        "from $5-$10, or 20$ if you pay in cash",
        "It cost $5, and 10$ more",
        "set $HOME and $PATH",
        "US$5 and US$6",
        "**$5** and **$10**",
        "$ x $ and a $",
        "$1,000.50/month vs. $2k",
        "$$ and $$$",
    ],
)
def test_money_is_not_maths(source: str) -> None:
    assert drawn(source) == [source.replace("**", "")]


def test_code_is_not_maths() -> None:
    assert drawn("`$x^2$` and `\\(y\\)`") == ["$x^2$ and \\(y\\)"]
    assert "$$x^2$$" in "".join(drawn("```\n$$x^2$$\n```"))


def test_formulas_within_a_line_are_read_there() -> None:
    source = r"Let $x_1$ and \(\alpha*b\), **bold $y^2$**, *$z$*: $n$-th, ($5$), [a $b_2$](/c)"
    assert drawn(source) == ["Let x₁ and α*b, bold y², z: n-th, (5), a b₂ (/c)"]


@pytest.mark.parametrize(
    "source",
    [
        "$$x^2$$",
        "$$\nx^2\n$$",
        "\\[ x^2 \\]",
        "\\[\n  x^2\n\\]",
        "```math\nx^2\n```",
    ],
)
def test_a_display_stands_on_its_own_and_is_copied_as_written(source: str) -> None:
    assert drawn(source) == ["  x²"]
    assert copied(source) == source
    assert drawn(f"Text\n{source}\nmore") == ["Text", "", "  x²", "", "more"]
    quoted = "\n".join("> " + line for line in source.split("\n"))
    assert drawn(quoted) == ["│   x²"]
    item = "- a\n\n" + "\n".join("  " + line for line in source.split("\n"))
    assert drawn(item) == ["• a", "", "    x²"]


def test_lines_of_a_display_are_no_markdown() -> None:
    source = "$$\n\\begin{aligned}\na &= b \\\\\n- c &= d\n=\n| e |\n\\end{aligned}\n$$"
    assert drawn(source) == ["    a = b", "  − c = d = | e |"]
    assert copied(source) == source


def test_a_display_within_a_paragraph_has_rows_of_its_own() -> None:
    assert drawn("before $$x^2$$ after") == ["before", "  x²", "after"]
    assert copied("before $$x^2$$ after") == "before\n$$x^2$$\nafter"


def test_a_display_that_is_not_closed_is_text() -> None:
    assert drawn("$$\nx\n\n- a") == ["$$ x", "", "• a"]


@pytest.mark.parametrize("width", [9, 17, 40])
def test_a_wrapped_formula_is_copied_once(width: int) -> None:
    source = r"The sum $\alpha + \beta + \gamma + \delta$ is $x$, and **$a + b + c$**"
    assert copied(source, width) == source.replace("**", "")


def test_a_part_of_a_row_is_copied_with_whole_formulas() -> None:
    (row,) = rows_of(r"> a $x^{12}$ b")
    assert row.strip.text.rstrip() == "│ a x¹² b"
    assert row.copied(0, 3) == "a"
    assert row.copied(2, 6) == r"a $x^{12}$"
    assert row.copied(5, 9) == r"$x^{12}$ b"
    assert row.copied(7) == " b"
