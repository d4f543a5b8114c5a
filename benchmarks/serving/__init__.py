"""What the running service carries (docs/serving.md): `python -m benchmarks.serving.live`.

`live`: how many streams at once. `hour`: one stream for an hour. `infer` and `predict`: batches of steps, and whole
files. `balancer`: what nginx in front costs. All start the service themselves, by `common`. `capacity` starts nothing:
it reckons from what the others measured.
"""
