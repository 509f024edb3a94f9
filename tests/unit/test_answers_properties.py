"""Properties of the judgement of answers, and answers made to hang or break it."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evpv_prm.answers import (
    LONGEST_ANSWER,
    broken_reason,
    ground_truth,
    is_correct,
    normalise,
    parse_options,
)

numbers = st.one_of(
    st.integers(-(10**12), 10**12).map(str),
    st.decimals(-1000, 1000, places=3).map(str),
    st.tuples(st.integers(-99, 99), st.integers(1, 99)).map(
        lambda f: f"\\frac{{{f[0]}}}{{{f[1]}}}"
    ),
    st.integers(2, 99).map(lambda n: f"\\sqrt{{{n}}}"),
    st.integers(2, 99).map(lambda n: f"{n}\\pi"),
)
texts = st.text("abAB xyz0123456789+-*/^=().,:;&%{}[]\\√π°$|\n", max_size=60)
words = st.text("abcdefghij", min_size=3, max_size=8)


def right(truth: str, answer: str) -> bool:
    return is_correct(ground_truth("Find it.", truth, None), answer)


@given(numbers)
def test_a_number_equals_itself_in_any_wrapping(number):
    for dressed in (number, f"\\boxed{{{number}}}", f"  ${number}$ ", f"The answer is {number}."):
        assert right(number, dressed)


@given(st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6))
def test_integers_are_equal_only_to_themselves(a, b):
    assert right(str(a), str(b)) == right(str(b), str(a)) == (a == b)


@given(st.integers(1, 10**9))
def test_thousands_separators(n):
    for separator in (",", "{,}", " ", "\\,"):
        assert right(str(n), f"{n:,}".replace(",", separator))
    assert not right(str(n), f"-{n:,}")


@given(st.integers(-500, 500), st.integers(1, 50))
def test_fractions_equal_their_value(a, b):
    assert right(f"\\frac{{{a}}}{{{b}}}", repr(a / b))
    assert right(f"{a}/{b}", f"\\dfrac{{{a}}}{{{b}}}")


@given(st.lists(words, min_size=2, max_size=6, unique=True), st.data())
def test_exactly_one_option_is_right(options, data):
    letters = "ABCDEF"[: len(options)]
    answer = data.draw(st.sampled_from(letters))
    truth = ground_truth("Which one?", answer, options)
    question = "Which one?\nChoices:\n" + "\n".join(
        f"({letter}) {option}" for letter, option in zip(letters, options, strict=True)
    )
    parsed = ground_truth(question, answer, None)
    for letter, option in zip(letters, options, strict=True):
        for stated in (
            letter,
            f"({letter})",
            f"{letter}. {option}",
            option,
            f"\\boxed{{{option}}}",
        ):
            assert is_correct(truth, stated) == (letter == answer)
            assert is_correct(parsed, stated) == (letter == answer)


@given(
    st.sets(st.sampled_from("ABCDEF"), min_size=2), st.sets(st.sampled_from("ABCDEF")), st.data()
)
def test_letters_compare_as_sets_in_any_order(true, stated, data):
    truth = ground_truth("Which ones?", ", ".join(sorted(true)), None)
    shuffled = data.draw(st.permutations(sorted(stated)))
    for joined in (", ".join(shuffled), "".join(shuffled), " and ".join(shuffled)):
        assert is_correct(truth, joined) == (true == stated)


@given(texts)
def test_normalising_twice_changes_nothing_more(text):
    once = normalise(normalise(text))
    assert normalise(once) == once


@given(st.one_of(texts, st.text(max_size=80)), st.one_of(texts, st.text(max_size=80)))
def test_nothing_raises(truth, answer):
    is_correct(ground_truth(truth, answer, None), truth)
    is_correct(ground_truth(answer, truth, [truth, answer]), answer)
    broken_reason(truth, answer, None)
    parse_options(truth)


TOWERS = [
    "9^{9^{9}}", "9^9^9", "9**9**9**9", "(9^{99})^{99}", "{9}^{9^9}", "x^{9^{9^{9}}}", "9e999999",
    "999999999999^{2000}", "2^{99*99*99*99}", "\\exp(\\exp(\\exp(9)))", "9!!!!", "10!",
    "(a+b)(c+d)(e+f)(g+h)(k+l)(m+n)(p+q)(r+s)", "(a+b+c)^4(d+e+f)^4(x+y+z)^4", "(x+y)^{2000}",
    "\\sin(\\sin(\\sin(\\sin(x))))^{12}",
    "\\frac{\\sin(3x)+\\cos(5x)\\tan(7x)}{\\sin(2x)\\cos(4x)}",
    "\\frac{1}{" * 8 + "x" + "}" * 8, "3^{2000x}", "__import__('os').system('true')",
]  # fmt: skip
REPEATED = [
    "(",
    "[",
    "{",
    "\\frac{",
    "\\boxed{",
    "\\boxed{}",
    "\\text{",
    "**",
    "* ",
    "answer is ",
    "1,",
    "1 ",
    "1,000",
    "a and ",
    "- ",
    "√",
    "^",
    "9^",
    "1:",
    "1/",
    "x=",
    "\\sqrt{x+",
]
TRUTHS = ["5", "x+1", "(x+4)^3", "\\frac{1}{2}", "(1,2)", "f(x)=|x-3|", "4\\pi", "1 & 3",
          "x^2+y^2=49", "\\sin(x)+\\cos(x)",
          "(a+b)(c+d)(e+f)(g+h)(k+l)(m+n)(p+q)(r+s)+1"]  # fmt: skip


@pytest.mark.timeout(60)
@pytest.mark.parametrize("truth", TRUTHS)
def test_no_answer_hangs_the_judgement(truth):
    """Regression: `9^{9^{9}}` kept the metric busy for ever, and deep nesting broke it."""
    judged = ground_truth("Find it.", truth, None)
    repeated = [text * (LONGEST_ANSWER // len(text)) for text in REPEATED]
    for answer in (*TOWERS, *repeated, *(text * 20_000 for text in REPEATED)):
        assert not is_correct(judged, answer), answer[:80]


@pytest.mark.timeout(60)
def test_random_formulas_neither_hang_nor_raise():
    parts = [
        "x",
        "y",
        "+",
        "-",
        "*",
        "^2",
        "(",
        "x+1)",
        "\\sin(x)",
        "\\frac{x}{y}",
        "√{x}",
        "/",
        "3",
    ]
    source = random.Random(0)
    judged = ground_truth("Find it.", "x^2+y^2=49", None)
    for _ in range(100):
        is_correct(judged, "".join(source.choices(parts, k=source.randint(3, 25))))


def test_formulas_are_judged_outside_the_main_thread():
    """Regression: a time limit by alarm raises in every thread but the main one."""
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(right, "x^{3}+12 x^{2}+48 x+64", "(x+4)^3").result()
        assert not pool.submit(right, "x^{3}+12 x^{2}+48 x+64", "(x+5)^3").result()
