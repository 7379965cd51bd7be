"""Which claims of the paper hold? Claims are functions of the evidence that return a finding.

comparison.py which runs may be compared
evidence.py  their metrics, as claims look at them
claim.py     a claim, a finding, and the decorator that declares a claim
forms.py     the forms of a statement: a trend, an order, a margin, a limit, a count
cifar.py, imagenet.py, counted.py  the claims
claims.py    all claims, judged: verdicts, and corrections beside them
plan.py      what reports/plan.toml fixes for each claim: test, margin, level, seeds
peers.py     what public re-runs say of each claim, beside our verdict; paired.py computes the effects within sources
public.py    what public networks say of each claim that we tested, likewise beside our verdict
stats.py     statistical tests and intervals
power.py     how often the rules decide, by simulation
"""
