"""Which claims of the paper hold? Claims are functions of the evidence that return a finding.

evidence.py  comparable runs and their metrics
claim.py     a claim, a finding, and the decorator that declares a claim
forms.py     the forms of a statement: an order, a margin, a limit, a prediction, a count
cifar.py, imagenet.py, counted.py  the claims
claims.py    all claims, judged: Holm's correction and verdicts
stats.py     statistical tests and intervals
"""
