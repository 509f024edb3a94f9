"""Whether a final answer is right, as the benchmarks mean it.

An answer is judged by what it states: the content of its `\\boxed{…}`, else what follows "the
answer is" (or 答案), else all of it. Several boxes are one answer with several parts. Both sides
are normalised first: full-width and Chinese punctuation, LaTeX layout, Markdown emphasis, Unicode
signs, mojibake degrees (掳) and escapes that JSON swallowed (a form feed for the \\f of \\frac).
Empty answers and answers of more than 4,000 characters are wrong.

**Multiple choice.** Options come from `choices`, else from the question's text. The truth is a set
of letters; a truth that is an option's text stands for that option's letter. An answer is right
when it names exactly this set, by

- letters: `B`, `b`, `(B)`, `B.`, `option B`, `B. 60°`, `60° (B)`; `A, C` = `AC` = `C and A`.
  A letter with the text of another option is wrong, and so is a letter that a sentence merely
  begins with ("A triangle");
- the option's text, by the rules below. A bare capital that is an option's letter is the letter,
  whatever the options' texts are. A value that fits several options names none.

Where the options stand in the picture alone, letters alone count.

**Numbers.** Two numbers are equal when they differ by at most half a unit in the last of
max(2, d) decimals, d being the decimals of the truth, *and* by at most 2 % of the truth. Fractions,
mixed numbers, powers, roots and π are evaluated; `1,000` and `1 000` are 1000, `1,5` is a list.
Units may be left out on either side; two units must be the same, and nothing is converted. Words
of the question after a plain number count as its unit ("5 apples"). A true 13% is 13 and 0.13 too;
against a bare truth, 50% is 0.5, and 50 where the question speaks of percentages.

**Names.** `x = 3`, `Area = 3` and `f(x) = 3` state 3, but `x = 3` and `y = 3` differ. The last
member of a chain `a = b = c` is its answer.

**Lists.** Points, intervals and tuples are compared part by part, brackets included. Parts joined
by "&", "and", "or" or ∪, and sets in braces, have no order; commas keep theirs. `0.2 - 0.8`
between plain numbers is a range, `4:30` is compared part by part (as a quotient where the question
asks for a ratio), and dates are texts; none of them is arithmetic.

**Formulas** that are short and use the truth's variables are parsed and proved equal by
math-verify (https://github.com/huggingface/Math-Verify). Larger ones are equal as texts only.

**Texts** are equal but for case, spaces, quotes, an article in front and a full stop at the end. A
truth that is a Python list of strings accepts any of them.

No text of a model is ever evaluated as code, and what could keep SymPy busy never reaches it.
"""

from evpv_prm.answers.broken import broken_reason
from evpv_prm.answers.judge import LONGEST_ANSWER, GroundTruth, ground_truth, is_correct
from evpv_prm.answers.normal import normalise
from evpv_prm.answers.options import parse_options

__all__ = [
    "LONGEST_ANSWER",
    "GroundTruth",
    "broken_reason",
    "ground_truth",
    "is_correct",
    "normalise",
    "parse_options",
]
