"""x"""

from evpv_prm.answers.judge import GroundTruth, ground_truth, is_correct
from evpv_prm.answers.normal import normalise
from evpv_prm.answers.options import parse_options
