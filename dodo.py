"""finnmake's tasks for doit: `doit list`, `doit build:config_001`, `doit blueprint=digits_cnn build`.

`doit explore` builds the whole design space and ranks it; `doit space`, `doit tree` and `doit graph` show it.

The blueprint is the one named in pyproject.toml, or `blueprint=NAME`. Every configuration passes through

    preprocess   pre_proc transforms         -> processed_model.onnx
    segment      steps shared with others    -> the store
    estimate     FINN's estimates, where a build goes beyond them
    finn         FINN's steps                -> artifacts/, final_model.onnx, manifest.json
    metrics      FINN's reports              -> metrics.json
    analyze      post_proc analyses          -> postprocessing/*.json
    report       all of these                -> report.html
    build        the whole of it             -> result.json
"""

from finnmake.tasks.generators import (
    DOIT_CONFIG,
    task_analyze,
    task_build,
    task_estimate,
    task_finn,
    task_metrics,
    task_preprocess,
    task_report,
    task_segment,
)
