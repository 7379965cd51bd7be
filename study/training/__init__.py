"""One run from start to end, as `train.train` takes it:

    spec       = Spec("cifar10", 56, "A", "paper", seed=0)     study.spec         which cell
    recipe     = recipe_for(spec)                              study.recipes      how it is trained
    dataset    = load_dataset(spec, data)                      study.data         which images
    module     = TrainingModule(spec, dataset)                 module.py          network, loop, checkpoint
    record     = Record(runs, spec)                            study.recording    where results are written
    rate       = module.schedule.rate(step)                    schedule.py        warm-up, drops, plateau
    images, labels = module.images.batch(spec.seed, step)      study.data         crops, flips, order
    update(module.net, optimizer, count, backward, images, labels)   step.py      one step, also as a CUDA graph
    evaluation = Evaluation(step, ..., train=Errors(...), test=Errors(...))   errors.py   counted on the device
    record.append(evaluation.row())                            callbacks.py       clock, record, checkpoint, signals
    average_gradients(net, forward, device)                    ranks.py          several ranks: gradients, counts, stops
    measured = norms(module.net)                               along.py          every layer, with `--signals`
    copy = deepened(parent, depth, data)                       deepen.py         a trained network made deeper
    measure(module)                                            results.py        responses, confusion, digest

`train.build_trainer` hands the loop to Lightning; `callbacks.callbacks` says in which order things happen around it.
"""
