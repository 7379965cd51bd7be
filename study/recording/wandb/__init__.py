"""The copy of a record in W&B: written by rank 0, never read by training, and never a reason to stop.

mode   = resolve_mode("auto")             account.py      online, offline or disabled
logger = mirror(record, "auto", about)    mirror.py       opens the W&B run and sends what it lacks
                                          description.py  names, tags, notes and configuration
                                          client.py       the client's environment, and the agent's
logger.log_metrics(evaluation.row())      mirror.py       one row per evaluation
logger.finish(write)                      mirror.py       summary, measurements and pictures.figures(record)
                                          artifact.py     and the final weights, which fetched_weights gives back
logger.preempt(143)                       mirror.py       or: interrupted, so that an agent gets the run again
logger.stop(143)                          mirror.py       or: stopped there, as logger.why_stopped() found out
sweep_state(path)                         stops.py        what somebody did to a sweep there
send(run, record)                         sending.py      whatever W&B lacks of a record
sync(records, about)                      sync.py         the same for runs whose training is over
"""
