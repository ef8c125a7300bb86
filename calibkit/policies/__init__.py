"""Policies: ways to choose calibration documents from a pool. Arrays in, row numbers out."""

from calibkit.policies.base import Policy, select
from calibkit.policies.bit_chain import BitChain
from calibkit.policies.certainty import Disagreement, Margin
from calibkit.policies.d_optimal import DOptimal
from calibkit.policies.draw import Draw, Rows
from calibkit.policies.generators import (
    Generator,
    Made,
    NewDocument,
    PoolDocument,
    Source,
    make,
)
from calibkit.policies.k_center import KCenter
from calibkit.policies.leverage import Leverage
from calibkit.policies.misses import MissPmf, MissWeighted
from calibkit.policies.noise_mix import NoiseMix
from calibkit.policies.pool import Pool
from calibkit.policies.random_tokens import RandomTokens
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

__all__ = [
    "AnyPolicy",
    "BitChain",
    "DOptimal",
    "Disagreement",
    "Draw",
    "Generator",
    "KCenter",
    "Leverage",
    "Margin",
    "MissPmf",
    "MissWeighted",
    "Made",
    "NewDocument",
    "NoiseMix",
    "ParameterProblem",
    "Policy",
    "Pool",
    "PoolDocument",
    "Random",
    "RandomTokens",
    "Rows",
    "SelfCalibration",
    "Skewed",
    "Source",
    "Stratified",
    "find_policy",
    "make",
    "make_policy",
    "parameter_problems",
    "policy_names",
    "select",
]
