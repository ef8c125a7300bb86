"""A recipe over the toy corpus: one model, two policies, two seeds, two bit widths."""

MINI = """\
calibkit: 1
name: mini
corpus: {name: toy, from: docstrings}
models: {generative: {}}
policies: {random: {use: random}, stratified: {use: stratified}}
grid: {model: [generative], policy: [random, stratified], size: [16], seed: [0, 1], bits: [8, 4]}
measure: {noise: {keyboard: [0.05, 0.1]}}
"""
