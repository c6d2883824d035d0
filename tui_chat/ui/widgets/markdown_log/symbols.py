"""What LaTeX commands and letters look like in Unicode: tables only.

A library for this would bring ten times as much and its import time; these are the commands that language models write.
"""

from __future__ import annotations

from typing import Final


def _pairs(table: str) -> dict[str, str]:
    words = table.split()
    return dict(zip(words[::2], words[1::2], strict=True))


def _words(table: str) -> frozenset[str]:
    return frozenset(table.split())


ORDINARY: Final = _pairs(
    """alpha α beta β gamma γ delta δ epsilon ϵ varepsilon ε zeta ζ eta η theta θ vartheta ϑ iota ι kappa κ lambda λ
    mu μ nu ν xi ξ omicron ο pi π varpi ϖ rho ρ varrho ϱ sigma σ varsigma ς tau τ upsilon υ phi φ varphi φ chi χ psi ψ
    omega ω Gamma Γ Delta Δ Theta Θ Lambda Λ Xi Ξ Pi Π Sigma Σ Upsilon Υ Phi Φ Psi Ψ Omega Ω
    infty ∞ partial ∂ nabla ∇ hbar ℏ ell ℓ Re ℜ Im ℑ aleph ℵ wp ℘ emptyset ∅ varnothing ∅ prime ′ forall ∀ exists ∃
    nexists ∄ neg ¬ lnot ¬ top ⊤ bot ⊥ angle ∠ degree ° triangle △ square □ Box □ blacksquare ■ qed ∎ checkmark ✓
    star ⋆ ast ∗ bullet • dagger † ddagger ‡ imath ı jmath ȷ ldots … dots … cdots ⋯ vdots ⋮ ddots ⋱ dotsc … dotsb ⋯
    sum ∑ prod ∏ coprod ∐ int ∫ iint ∬ iiint ∭ oint ∮ bigcup ⋃ bigcap ⋂ bigsqcup ⨆ bigvee ⋁ bigwedge ⋀ bigoplus ⨁
    bigotimes ⨂ bigodot ⨀ langle ⟨ rangle ⟩ lfloor ⌊ rfloor ⌋ lceil ⌈ rceil ⌉ lvert | rvert | vert | lVert ‖ rVert ‖
    Vert ‖ lbrace { rbrace } lbrack [ rbrack ] backslash \\ pounds £ euro € copyright © S § P ¶ circ ∘ flat ♭ sharp ♯
    heartsuit ♥ spadesuit ♠ clubsuit ♣ diamondsuit ♦ complement ∁ surd √ degreeCelsius ℃ ohm Ω Omicron Ο colon :
    aa å AA Å ae æ AE Æ oe œ OE Œ ss ß o ø O Ø l ł L Ł textbackslash \\ textbar | textdegree ° textendash – lparen (
    rparen )"""
)
"""Letters and signs that stand close to what is around them."""
RELATIONS: Final = _pairs(
    """leq ≤ le ≤ geq ≥ ge ≥ neq ≠ ne ≠ leqslant ⩽ geqslant ⩾ ll ≪ gg ≫ equiv ≡ approx ≈ approxeq ≊ sim ∼ simeq ≃
    cong ≅ propto ∝ asymp ≍ doteq ≐ triangleq ≜ coloneqq ≔ prec ≺ succ ≻ preceq ⪯ succeq ⪰ in ∈ notin ∉ ni ∋ subset ⊂
    subseteq ⊆ subsetneq ⊊ supset ⊃ supseteq ⊇ supsetneq ⊋ nsubseteq ⊈ sqsubseteq ⊑ sqsupseteq ⊒ mid ∣ nmid ∤
    parallel ∥ perp ⊥ vdash ⊢ models ⊨ vDash ⊨ therefore ∴ because ∵ to → rightarrow → leftarrow ← gets ← leftrightarrow
    ↔ Rightarrow ⇒ Leftarrow ⇐ Leftrightarrow ⇔ implies ⟹ impliedby ⟸ iff ⟺ longrightarrow ⟶ longleftarrow ⟵
    longleftrightarrow ⟷ Longrightarrow ⟹ Longleftarrow ⟸ Longleftrightarrow ⟺ mapsto ↦ longmapsto ⟼ uparrow ↑
    downarrow ↓ updownarrow ↕ Uparrow ⇑ Downarrow ⇓ nearrow ↗ searrow ↘ swarrow ↙ nwarrow ↖ hookrightarrow ↪
    hookleftarrow ↩ rightharpoonup ⇀ leftharpoonup ↼ rightleftharpoons ⇌ leadsto ⇝ rightsquigarrow ⇝ lt < gt > times ×
    cdot · div ÷ pm ± mp ∓ cup ∪ cap ∩ sqcup ⊔ sqcap ⊓ setminus ∖ wedge ∧ land ∧ vee ∨ lor ∨ oplus ⊕ ominus ⊖ otimes ⊗
    odot ⊙ oslash ⊘ bmod mod uplus ⊎ bowtie ⋈ ltimes ⋉ rtimes ⋊"""
)
"""Relations, arrows and binary operators: a space on either side."""
FUNCTIONS: Final = _words(
    """sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh coth log ln lg exp lim limsup liminf max min sup inf
    arg argmax argmin det dim ker deg gcd lcm hom Pr tr Tr rank diag sgn sign softmax Var Cov"""
)
"""Names set upright, with a space before an argument that has no bracket."""
SILENT: Final = _words(
    """middle big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr bigm Bigm limits nolimits displaystyle
    textstyle scriptstyle scriptscriptstyle hline nonumber notag mathstrut strut centering rm bf it cal allowbreak"""
)
"""They change how something looks, not what it says."""
UNSEEN: Final = _words("label color phantom hphantom vphantom hspace hspace* vspace vspace* ref eqref")
"""The same, with an argument that is not shown."""
UPRIGHT: Final = _words(
    """mathrm mathbf mathit mathsf mathtt boldsymbol bm pmb mathop mathbin mathrel mathord boxed fbox underbrace
    overbrace cancel bcancel smash ensuremath substack ce"""
)
"""Their argument is shown as it would be without them."""
TEXT: Final = _words("text textrm textbf textit textsf texttt textnormal mbox hbox textsc")
"""Their argument is no formula."""
NEGATED: Final = _pairs("= ≠ ∈ ∉ ∋ ∌ ⊂ ⊄ ⊆ ⊈ ≡ ≢ ∼ ≁ ≈ ≉ ∃ ∄ ∣ ∤ ∥ ∦ < ≮ > ≯ ≤ ≰ ≥ ≱ → ↛")
ACCENTS: Final = {
    "hat": "\u0302",
    "widehat": "\u0302",
    "bar": "\u0304",
    "overline": "\u0305",
    "underline": "\u0332",
    "vec": "\u20d7",
    "dot": "\u0307",
    "ddot": "\u0308",
    "tilde": "\u0303",
    "widetilde": "\u0303",
    "acute": "\u0301",
    "grave": "\u0300",
    "check": "\u030c",
    "breve": "\u0306",
    "mathring": "\u030a",
}
"""Combining characters."""
SUPERSCRIPTS: Final = str.maketrans(
    "0123456789+−-=()abcdefghijklmnoprstuvwxyzABDEGHIJKLMNOPRTUVWβγδθφχ′*∘⊤†",
    "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᴬᴮᴰᴱᴳᴴᴵᴶᴷᴸᴹᴺᴼᴾᴿᵀᵁⱽᵂᵝᵞᵟᶿᵠᵡ′*°ᵀ†",
)
SUBSCRIPTS: Final = str.maketrans(
    "0123456789+−-=()aehijklmnoprstuvxβγρφχ",
    "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓᵦᵧᵨᵩᵪ",
)
FRACTIONS: Final = _pairs("1/2 ½ 1/3 ⅓ 2/3 ⅔ 1/4 ¼ 3/4 ¾ 1/5 ⅕ 2/5 ⅖ 3/5 ⅗ 4/5 ⅘ 1/6 ⅙ 5/6 ⅚ 1/8 ⅛ 3/8 ⅜ 5/8 ⅝ 7/8 ⅞")


def _alphabet(capital: int, small: int, digits: int, exceptions: str) -> dict[int, int | str]:
    table: dict[int, int | str] = {ord("A") + n: capital + n for n in range(26)}
    if small:
        table |= {ord("a") + n: small + n for n in range(26)}
    if digits:
        table |= {ord("0") + n: digits + n for n in range(10)}
    return table | {ord(letter): sign for letter, sign in _pairs(exceptions).items()}


ALPHABETS: Final = {
    "mathbb": _alphabet(0x1D538, 0x1D552, 0x1D7D8, "C ℂ H ℍ N ℕ P ℙ Q ℚ R ℝ Z ℤ"),
    "mathcal": _alphabet(0x1D49C, 0x1D4B6, 0, "B ℬ E ℰ F ℱ H ℋ I ℐ L ℒ M ℳ R ℛ e ℯ g ℊ o ℴ"),
    "mathfrak": _alphabet(0x1D504, 0x1D51E, 0, "C ℭ H ℌ I ℑ R ℜ Z ℨ"),
}
ALPHABETS["mathscr"] = ALPHABETS["mathcal"]
ALPHABETS["Bbb"] = ALPHABETS["mathbb"]
