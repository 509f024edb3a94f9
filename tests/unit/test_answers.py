"""Answers are judged as the benchmarks mean them: examples."""

import pytest

from evpv_prm.answers import broken_reason, ground_truth, is_correct, normalise, parse_options

OPTIONS = "How large is the angle?\nChoices:\n(A) 70°\n(B) 60°\n(C) 50°\n(D) 40°"

STATES_B = [
    "(B)",
    "**B**",
    "B. 60°",
    "B",
    "The answer is B",
    "b",
    "b)",
    "B)",
    "B:",
    "\\boxed{B}",
    "\\text{B}",
    "\\boxed{\\text{(B)}}",
    "$B$",
    "$\\mathrm{B}$",
    "Option B",
    "option (B)",
    "The correct answer is (B) 60°.",
    "The correct option is B",
    "Answer: B",
    "答案是B",
    "答案：Ｂ。",
    "（B）",
    "故选B",
    "选B",
    "B项",
    "60°",
    "60",
    "60 degrees",
    "60^\\circ",
    "$60^{\\circ}$",
    "60掳",
    "(B) 60°",
    "[B]",
    "B because the angle is 60",
    "B is correct",
    "B is the correct answer",
    '"B"',
    "'B'",
    "`B`",
    "60° (B)",
    "B - 60°",
    "B 60°",
    "B (60°)",
    "Final answer: B",
    "**Answer:** B",
    "The final answer is **B**.",
    "B: 60",
    "\\boxed{60^\\circ}",
    "\\boxed{B. 60°}",
    "{B}",
    "<B>",
    "B.60°",
    "Therefore, the answer is B",
    "x = 60°",
    "60.0",
    "B, since angles add up",
]

STATES_NOT_B = [
    "A",
    "C",
    "(A)",
    "Because the angle is B",
    "Between",
    "70°",
    "70",
    "B. 70°",
    "B: 70°",
    "(B) 70°",
    "A and B",
    "A, B",
    "AB",
    "A or B",
    "Be",
    "not B",
    "The answer is not B",
    "A, because B is wrong",
    "",
    "x",
    "60 m",
    "-60",
    "6",
    "C 60",
    "-B",
    "BB",
    "ABCD",
    "B or C",
    "B/C",
    "neither",
    "\\boxed{A}, \\boxed{B}",
    "The answer is A. B is wrong",
    "A triangle",
    "600",
    "0.60",
    "BC",
    "Not B",
    "I think C",
]

STATES_A_AND_C = [
    "A, C",
    "AC",
    "C and A",
    "A & C",
    "(A), (C)",
    "A和C",
    "A、C",
    "C,A",
    "A C",
    "{A, C}",
    "\\boxed{A, C}",
    "A,C.",
    "**A, C**",
    "Options A and C",
    "The answers are A and C",
    "(A)(C)",
]

STATES_NOT_A_AND_C = [
    "A",
    "C",
    "A, B",
    "A, B, C",
    "ABC",
    "BC",
    "AA",
]

EQUAL = [
    ("\\frac{\\sqrt{3}}2", "0.866"),
    ("\\frac{4}\\pi", "4/π"),
    ("\\frac{5}{2} - \\sin \\theta", "2.5-\\sin(\\theta)"),
    ("20", "5 \\times 4 = 20"),
    ("20", "y = 5*4 = 20"),
    ("x=3", "x = 6/2 = 3"),
    ("-\\frac12", "\\frac{-1}{2}"),
    ("2", "\\sqrt[3]{8}"),
    ("2\\sqrt{3}", "2*sqrt(3) cm"),
    ("12.57", "≈ 12.57 cm"),
    ("300", "3.0 × 10^2"),
    ("60", "∠A = 60°"),
    ("1234.5", "1,234.5"),
    ("y=4, x=3", "x = 3 and y = 4"),
    ("5", "**5**"),
    ("5", "５"),
    ("145°", "145"),
    ("145", "145°"),
    ("6cm", "6"),
    ("6", "6cm"),
    ("6cm", "6 centimeters"),
    ("6cm", "6 cm"),
    ("\\frac12", "0.5"),
    ("0.5", "\\frac12"),
    ("1/2", "0.50"),
    ("\\frac{1}{2}", "\\boxed{\\frac{1}{2}}"),
    ("7\\sqrt3", "\\sqrt{147}"),
    ("\\sqrt{147}", "7\\sqrt3"),
    ("\\sqrt{147}", "7√3"),
    ("7\\sqrt{3}", "12.12"),
    ("4\\pi", "12.57"),
    ("4π", "4\\pi"),
    ("12.57", "4\\pi"),
    ("1,000", "1000"),
    ("1000", "1 000"),
    ("1000", "1,000"),
    ("1000", "1{,}000"),
    ("1000", "1\\,000"),
    ("50%", "0.5"),
    ("50%", "50"),
    ("50%", "50 %"),
    ("0.5", "50%"),
    ("50%", "50\\%"),
    ("3", "x=3"),
    ("x=3", "3"),
    ("x=3", "x = 3"),
    ("2:3", "2 : 3"),
    ("2:3", "2：3"),
    ("3:45", "3:45"),
    ("(1,2)", "(1, 2)"),
    ("(1,2)", "\\left(1,2\\right)"),
    ("(2,-2)", "(2,−2)"),
    ("2014", "2014"),
    ("5", "5.0"),
    ("5", "5.00"),
    ("5", "5."),
    ("0.0 - 0.2", "0.0-0.2"),
    ("0.0 - 0.2", "0–0.2"),
    ("1 & 3", "1 and 3"),
    ("1 & 3", "3 & 1"),
    ("y=4", "4"),
    ("y=4", "4=y"),
    ("04/02/2005", "04/02/2005"),
    ("['Tampa', 'Florida']", "Tampa"),
    ("['Tampa', 'Florida']", "florida"),
    ("['24/7', '3.429']", "3.43"),
    ("['24/7', '3.429']", "24/7"),
    ("['$MgS$', 'MgS']", "MgS"),
    ("Area $=9 \\pi \\mathrm{cm}^{2}$", "9π"),
    ("Area $=9 \\pi \\mathrm{cm}^{2}$", "28.27"),
    ("Area $=9 \\pi \\mathrm{cm}^{2}$", "9π cm²"),
    ("Area $=9 \\pi \\mathrm{cm}^{2}$", "9\\pi\\text{ cm}^2"),
    ("\x0crac{36}{13}", "36/13"),
    ("118掳T", "118"),
    ("118掳T", "118°"),
    ("118掳T", "118°T"),
    ("090^\\circ T", "90°"),
    ("S 23.5 ^\\circ W", "S23.5°W"),
    ("56.55 units $^{3}$", "56.55"),
    ("216.\\mathrm{cm}^2", "216"),
    ("8\\sqrt{3}{squareinches}", "8√3"),
    ("69{degrees}", "69°"),
    ("y=-2 t+180", "-2t+180"),
    ("y=-2 t+180", "y = 180 - 2t"),
    ("f(x)=|x-3|", "y=|x-3|"),
    ("f(x)=|x-3|", "|3-x|"),
    ("$x^{2}+y^{2}=49$", "x^2 + y^2 = 49"),
    ("$x^{2}+y^{2}=49$", "y^2+x^2=7^2"),
    ("$y+3=\\frac{3}{4}(x-2)$", "y = \\frac{3}{4}x - \\frac{9}{2}"),
    ("$y \\geq-2 x-6$", "y ≥ -2x - 6"),
    ("$[-5,-3) \\cup(-3,5]$", "[-5,-3)∪(-3,5]"),
    ("domain: [-4, 0) and range: (-3, 1]", "Domain: [-4,0), Range: (-3,1]"),
    ("Center $=(20,10)$", "(20, 10)"),
    ("12x^2+144x+384 \\mathrm{m}^3", "12x^2+144x+384"),
    ("12x^2+144x+384 \\mathrm{m}^3", "12(x^2+12x+32)"),
    ("63\\pi x^3+66\\pi x^2+15\\pi x litres", "3πx(21x^2+22x+5)"),
    ("20√{2}海里", "20√2"),
    ("4.40米", "4.4"),
    ("160√{3}m", "160\\sqrt{3}"),
    ("\\frac{20}{7}cm", "20/7"),
    ("0.5cm2", "0.5"),
    ("0.5cm2", "0.5 cm²"),
    ("4πcm", "4π cm"),
    ("Around 31%", "31%"),
    ("42.2%-62.6%", "42.2% - 62.6%"),
    ("13 %", "0.13"),
    ("$10km / h$", "10 km/h"),
    ("$10km / h$", "10"),
    ("-\\frac{3}{2}x+3", "3-1.5x"),
    ("1.06", "1.06"),
    ("3.5e8", "3.5\\times10^8"),
    ("$23", "23"),
    ("23", "\\$23"),
    ("5", "+5"),
    ("7\\frac{1}{2}", "7.5"),
    ("7.5", "7 1/2"),
    ("7.5", "7½"),
    ("-4.9\n-4.9", "-4.9, -4.9"),
    ("60-k", "-k+60"),
    ("125*a^2 + 250", "125a²+250"),
    ("1,000", "1000.0"),
    ("3 million", "3,000,000"),
    ("embryonic", "Embryonic"),
    ("trans-1-Chloro-4-methylcyclohexane", "trans-1-chloro-4-methylcyclohexane"),
    ("$-\\frac{21}{29}$", "-21/29"),
    ("$5=s$", "5"),
    ("$5=s$", "s=5"),
    ("=\\frac{7}{4}", "7/4"),
    ("slope =-4", "-4"),
    ("\\frac{360}7", "360/7"),
    ("\\frac{90}{23}^{\\circ}", "90/23"),
    ("16*\\pi/5", "\\frac{16\\pi}{5}"),
    ("3 \\cos (2 \\pi x+4 \\pi)-6", "3\\cos(2\\pi x)-6"),
    ("$\\pi-\\tan ^{-1}\\left(\\frac{1}{d}\\right)$", "\\pi - \\arctan(\\frac{1}{d})"),
    ("$y \\leq 5$", "y<=5"),
    ("9", "3^2"),
    ("24", "24"),
    ("N 34° W", "N34°W"),
    ("even", "even"),
    ("2", "\\boxed{2}"),
    ("2", "The answer is: 2"),
    ("4", "4"),
    ("(0,0)", "(0, 0)"),
    ("2(R+r)", "2R+2r"),
    ("1:2", "1:2"),
    ("May '21", "May ’21"),
    ("16 \\sqrt { 5 }", "16√5"),
    ("60*\\degree", "60°"),
    ("\\pi", "3.14"),
    ("\\pi", "π"),
    ("22/7", "22/7"),
]

DIFFERENT = [
    ("04/02/2005", "08/04/2005"),
    ("\\cos \\alpha", "\\cos \\beta"),
    ("\\sin(50°)", "50"),
    (">", "<"),
    ("20", "5 \\times 4 = 21"),
    ("3", "3 or -3"),
    ("3", "not 3"),
    ("60", "180 - 60"),
    ("6", "6 dozen"),
    ("0.5", "1:2"),
    ("2/3", "3/2"),
    ("12", "1/2"),
    ("1.2", "1 2"),
    ("x^2", "x^3"),
    ("(x+1)(x+2)", "(x+1)(x+3)"),
    ("\\sqrt{2}", "\\sqrt{3}"),
    ("2\\pi", "2"),
    ("[0, 2]", "[0, 2)"),
    ("10 km/h", "10 m/s"),
    ("10 km/h", "10 km"),
    ("5", "15"),
    ("5", "-5"),
    ("5", "6"),
    ("5", "5.01"),
    ("5", "51"),
    ("5", "55"),
    ("0.004", "0.001"),
    ("0.001", "0.004"),
    ("0.8 - 1.0", "0.0 - 0.2"),
    ("0.0 - 0.2", "0.8 - 1.0"),
    ("04/06/2005", "04/02/2005"),
    ("1 & 2", "1 & 3"),
    ("y=4", "x=3,y=4"),
    ("y=4", "x=4"),
    ("x=0", "y=0"),
    ("1,000", "1,5"),
    ("1.5", "1,5"),
    ("50%", "5"),
    ("50%", "0.05"),
    ("50", "0.5"),
    ("6cm", "6 m"),
    ("6cm", "60 mm"),
    ("6cm", "6cm^2"),
    ("2:3", "2:4"),
    ("2:3", "3:2"),
    ("3:45", "3:46"),
    ("3:45", "4:45"),
    ("(1,2)", "[1,2]"),
    ("(1,2)", "(2,1)"),
    ("(1,2)", "1"),
    ("(1,2)", "1.2"),
    ("2014", "2015"),
    ("[0, 2]", "[2, 0]"),
    ("4\\pi", "4"),
    ("4\\pi", "12.6"),
    ("3", "3 million"),
    ("3", "3x"),
    ("3", "3 or 4"),
    ("3", "3, 4"),
    ("3", "3^2"),
    ("5", "5 squared"),
    ("118°", "118.2°"),
    ("S 23.5 ^\\circ W", "23.5"),
    ("S 23.5 ^\\circ W", "N 23.5° W"),
    ("f(x)=|x-3|", "|x+3|"),
    ("$y \\geq-2 x-6$", "y > -2x - 6"),
    ("$y \\geq-2 x-6$", "y ≤ -2x - 6"),
    ("\\frac{1}{12}", "\\frac{11}{2}"),
    ("2π(R+r)(L+R-r)", "2π(r+R)(L+r-R)"),
    ("2π(R+r)(L+R-r)", "2π(R+r)(L+r-R)"),
    ("domain: [-4, 0) and range: (-3, 1]", "domain: (-3, 1] and range: [-4, 0)"),
    ("yes", "no"),
    ("60-k", "60+k"),
    ("even", "odd"),
    ("12", "1 2"),
    ("13%", "0.135"),
    ("0", "0.004"),
    ("0", "0.001"),
    ("100", "102"),
    ("7\\sqrt3", "7\\sqrt2"),
    ("half", "0.5"),
    ("sample A", "sample"),
    ("sample A", "sample B"),
    ("Tampa", "Florida"),
    ("['Tampa', 'Florida']", "Miami"),
    ("x^2+y^2=49", "x^2-y^2=49"),
    ("5", "__import__('os').system('true')"),
    ("x+1", "x^{9^{9^{9}}}"),
    ("5", "{5}{1}"),
    ("(2,-2)", "2,-2"),
    ("5 cm", "5 apples"),
    ("x=5", "y=5"),
    ("5", "5 times 2"),
    ("5", "5 less than"),
    ("1/3", "1/2"),
    ("0.5", ".05"),
    ("10", "1e1000000"),
    ("10", "10!"),
    ("1", "nan"),
    ("1", "inf"),
    ("5", ""),
]


def judge(question: str, answer: str, candidate: str, choices: list[str] | None = None) -> bool:
    return is_correct(ground_truth(question, answer, choices), candidate)


@pytest.mark.parametrize("candidate", STATES_B)
def test_letter_and_option_text_in_any_dress(candidate):
    assert judge(OPTIONS, "B", candidate)
    assert judge(OPTIONS, "60°", candidate), (
        "a truth that is an option's text stands for its letter"
    )
    assert judge("How large?", "B", candidate, ["70°", "60°", "50°", "40°"])


@pytest.mark.parametrize("candidate", STATES_NOT_B)
def test_what_does_not_name_the_right_option_is_refused(candidate):
    assert not judge(OPTIONS, "B", candidate)


@pytest.mark.parametrize("candidate", STATES_A_AND_C)
def test_several_letters_are_a_set(candidate):
    assert judge("Which choices in the image (A-D)?", "A, C", candidate)
    assert judge("Which two?", "A\nC", candidate)


@pytest.mark.parametrize("candidate", STATES_NOT_A_AND_C)
def test_another_set_of_letters_is_refused(candidate):
    assert not judge("Which choices in the image (A-D)?", "A, C", candidate)


def test_the_texts_of_several_right_options():
    question = "Which two?\nChoices:\nA:$\\tan(\\pi)$\nB:even\nC:odd\nD:4"
    assert judge(question, "B\nC", "even and odd")
    assert judge(question, "B\nC", "odd, (B)")
    assert not judge(question, "B\nC", "even")
    assert not judge(question, "B\nC", "even and 4")


@pytest.mark.parametrize(("answer", "candidate"), EQUAL)
def test_equal(answer, candidate):
    assert judge("Find the value.", answer, candidate)


@pytest.mark.parametrize(("answer", "candidate"), DIFFERENT)
def test_different(answer, candidate):
    assert not judge("Find the value.", answer, candidate)


@pytest.mark.parametrize(
    ("question", "answer", "candidate", "right"),
    [
        ("How many apples are left?", "5", "5 apples", True),
        ("How many pears are left?", "5", "5 apples", False),
        ("Are 2 or more apples left?", "2", "2 or more apples", False),
        ("What percentage is red?", "50", "50%", True),
        ("How much is red?", "50", "50%", False),
        ("What is the ratio?", "1:64", "1/64", True),
        ("What is the ratio?", "1:64", "2:128", True),
        ("What is the ratio?", "1:64", "1:63", False),
        ("What time is it?", "4:30", "8:60", False),
        ("What time is it?", "4:30", "04:30", True),
    ],
)
def test_the_question_decides_what_a_word_a_percentage_or_a_colon_means(
    question, answer, candidate, right
):
    assert judge(question, answer, candidate) is right


@pytest.mark.parametrize(
    ("truth", "candidate", "right"),
    [
        ("2.5", "2.505", True),
        ("2.5", "2.506", False),
        ("0.1234", "0.12345", True),
        ("0.1234", "0.1235", False),
        ("0.2", "0.204", True),
        ("0.2", "0.205", False),
        ("1000000", "1000000.005", True),
        ("1000000", "1000000.006", False),
        ("-2.5", "-2.505", True),
        ("0", "0.00", True),
        ("123456789012345678", "123456789012345679", False),
    ],
)
def test_tolerance_is_half_a_unit_and_two_percent(truth, candidate, right):
    assert judge("Find x.", truth, candidate) is right


def test_an_article_is_no_option():
    question = "Which?\nChoices:\nA: square\nB: triangle\nC: circle"
    assert judge(question, "A", "A square")
    assert not judge(question, "A", "A triangle")
    assert judge(question, "B", "A triangle")


def test_options_of_lower_case_letters_are_texts():
    question = "Which?\nChoices:\n(A) (c)\n(B) (a)\n(C) (e)\n(D) (d)\n(E) (b)"
    assert judge(question, "(b)", "(b)")
    assert judge(question, "(b)", "E")
    assert not judge(question, "(b)", "B")


def test_a_bare_capital_is_the_letter_of_an_option():
    question = "Which? Choices: A. F; B. D; C. B; D. I; E. No correct answer"
    assert judge(question, "D", "D")
    assert judge(question, "D", "I")
    assert not judge(question, "B", "D")


@pytest.mark.parametrize(
    ("question", "options"),
    [
        ("Q\nChoices:\n(A) 1\n(B) 2", {"A": "1", "B": "2"}),
        ("Q\nChoices:\nA:5\nB:.40°\n127", {"A": "5", "B": ".40°"}),
        ("Q Choices: A. 6, 4; B. 8.5m; C. No", {"A": "6, 4", "B": "8.5m", "C": "No"}),
        (
            "Please choose one of the following answers: A. A B. B C. C",
            {"A": "A", "B": "B", "C": "C"},
        ),
        ("Please choose one of the following answers: A. (A) B. (B)", {"A": "(A)", "B": "(B)"}),
        ("Please choose the correct answer below：\nA.-1.5%  B.-2%", {"A": "-1.5%", "B": "-2%"}),
        ("Select from A, B and C. (A)1.0 (B)True, (C) x", {"A": "1.0", "B": "True", "C": "x"}),
        ("Which? (A) Left, (B) Right", {"A": "Left", "B": "Right"}),
        ("Choice:\nA. 1\nB. 2\nChoice:\nA. 1\nB. 2", {"A": "1", "B": "2"}),
        ("From the point $(A)$ to the point $(B)$", {}),
        ("Which choice (A, B, C or D) is it?", {}),
        ("Please choose the correct answer below：", {}),
    ],
)
def test_options_are_parsed_out_of_the_question(question, options):
    assert parse_options(question) == options


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("（Ｂ）。", "(B)."),
        ("118掳", "118°"),
        ("60^{\\circ}", "60°"),
        ("\x0crac{1}{2}", "\\frac{1}{2}"),
        ("$\\dfrac12$", "\\frac{1}{2}"),
        ("cm²", "cm^2"),
        ("**B**", "B"),
        ("\\text{B}", "B"),
    ],
)
def test_normalise(text, normal):
    assert normalise(text) == normal


@pytest.mark.parametrize(
    ("question", "answer", "word"),
    [
        ("Find it.", "", "empty"),
        ("Find it.", "118掳T", "mojibake"),
        ("Find it.", "\x0crac{36}{13}", "control character"),
        ("Find it.", "{8}{5} \\pi", "braces"),
        ("Find the area.", "45^2", "power"),
        ("How much water is left?", "Bugs Bunny", "quantity"),
        ("Choices:\n(A) 1\n(B) 2", "C", "outside"),
        ("Choices:\n(A) 1\n(B) 2", "3", "none of the options"),
        ("Choices:\n(A) 1\n(B) 2\n(C) 2", "C", "same text"),
        ("Choices:\n(A) 1\n(B) A", "B", "letter of another option"),
        ("Please choose the correct answer below：", "C", "no options"),
        ("Select the correct answer from 1, 2 and 3", "B", "asks for a number"),
    ],
)
def test_broken_records_have_a_reason(question, answer, word):
    assert word in broken_reason(question, answer, None)


@pytest.mark.parametrize(
    ("question", "answer"),
    [(OPTIONS, "B"), (OPTIONS, "60°"), ("How much?", "5"), ("Which figure?", "A, C")],
)
def test_sound_records_have_none(question, answer):
    assert broken_reason(question, answer, None) is None
