"""Policies: ways to choose calibration documents from a pool. Arrays in, row numbers out."""

from calibkit.policies.activation_match import ActivationMatch
from calibkit.policies.base import Policy, foreseen, select
from calibkit.policies.bit_chain import BitChain
from calibkit.policies.by_length import LengthStratified, Longest, Shortest
from calibkit.policies.certainty import Disagreement, Margin
from calibkit.policies.composed import Mixture, Union
from calibkit.policies.d_optimal import DOptimal
from calibkit.policies.draw import Draw, Rows
from calibkit.policies.draw_plan import DrawnPolicy, DrawPlan
from calibkit.policies.facility_location import FacilityLocation
from calibkit.policies.generators import (
    Generator,
    Made,
    NewDocument,
    PoolDocument,
    Source,
    make,
)
from calibkit.policies.herding import Herding
from calibkit.policies.k_center import KCenter
from calibkit.policies.k_medoids import KMedoids
from calibkit.policies.leverage import Leverage
from calibkit.policies.misses import MissPmf, MissWeighted
from calibkit.policies.noise_mix import NoiseMix
from calibkit.policies.one_label import OneLabel
from calibkit.policies.pool import Pool
from calibkit.policies.random_tokens import RandomTokens
from calibkit.policies.range_cover import RangeCover
from calibkit.policies.registry import (
    AnyPolicy,
    ParameterProblem,
    find_policy,
    make_policy,
    parameter_problems,
    policy_names,
)
from calibkit.policies.self_calibration import SelfCalibration
from calibkit.policies.simple import Random
from calibkit.policies.skewed import Skewed
from calibkit.policies.stratified import Stratified
from calibkit.policies.subset import Shuffle, Subset
from calibkit.policies.token_budget import TokenBudget
from calibkit.policies.token_coverage import TokenCoverage

__all__ = [
    "ActivationMatch",
    "AnyPolicy",
    "BitChain",
    "DOptimal",
    "Disagreement",
    "Draw",
    "DrawPlan",
    "DrawnPolicy",
    "FacilityLocation",
    "Generator",
    "Herding",
    "KCenter",
    "KMedoids",
    "LengthStratified",
    "Leverage",
    "Longest",
    "Made",
    "Margin",
    "MissPmf",
    "MissWeighted",
    "Mixture",
    "NewDocument",
    "NoiseMix",
    "OneLabel",
    "ParameterProblem",
    "Policy",
    "Pool",
    "PoolDocument",
    "Random",
    "RandomTokens",
    "RangeCover",
    "Rows",
    "SelfCalibration",
    "Shortest",
    "Shuffle",
    "Skewed",
    "Source",
    "Stratified",
    "Subset",
    "TokenBudget",
    "TokenCoverage",
    "Union",
    "find_policy",
    "foreseen",
    "make",
    "make_policy",
    "parameter_problems",
    "policy_names",
    "select",
]
