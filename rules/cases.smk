# The case browser: every question, candidate and labelled solution with its verdicts, to look at.
# Takes results/scored/POLICY/BENCHMARK/SHARD.jsonl, results/step_level/, results/ablations/ and the
# images; gives results/cases/, of which index.html is to be opened.

PICTURES = f"{CASES}/images/{{pictured}}.json"
COLLECTIONS = [f"candidates/{policy}" for policy in CONFIG.policies]
if CONFIG.step_level:
    COLLECTIONS.append("solutions")


wildcard_constraints:
    pictured="|".join(map(re.escape, [*CONFIG.benchmarks, SOLUTIONS])),


# The pictures lie beside the file that names them. They are not declared, so that those that are
# there already stay when this runs again.
rule make_pictures:
    input:
        pictured_records,
    output:
        PICTURES,
    log:
        f"{RESULTS}/logs/make_pictures/{{pictured}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/make_pictures/{{pictured}}.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 2
    resources:
        **needs(2, 60),
    params:
        images=lambda wildcards: (
            CONFIG.step_level.images
            if wildcards.pictured == SOLUTIONS
            else CONFIG.benchmarks[wildcards.pictured].images
        ),
        folder=folder_above(2),
        code=code_digest("cases.images"),
    message:
        "Make the pictures of {wildcards.pictured}"
    shell:
        "python -m evpv_prm.viewer images --name {wildcards.pictured} --records {input:q}"
        " --images {params.images:q} --folder {params.folder:q} --workers {threads}"
        " > {log:q} 2>&1"


rule build_candidate_cases:
    input:
        scored=lambda wildcards: scored_files(wildcards.policy),
        pictures=expand(PICTURES, pictured=CONFIG.benchmarks),
    output:
        directory(f"{CASES}/candidates/{{policy}}"),
    log:
        f"{RESULTS}/logs/build_candidate_cases/{{policy}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/build_candidate_cases/{{policy}}.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 2
    resources:
        **needs(2, 60),
    params:
        scored=lambda wildcards: [
            f"{benchmark}={file}"
            for benchmark in CONFIG.benchmarks
            for file in scored_files(wildcards.policy, [benchmark])
        ],
        folder=folder_above(2),
        aggregations=CONFIG.best_of_n.aggregations,
        code=code_digest("viewer"),
    message:
        "Build the cases of {wildcards.policy}"
    shell:
        "python -m evpv_prm.viewer candidates --policy {wildcards.policy}"
        " --scored {params.scored:q} --aggregations {params.aggregations:q}"
        " --folder {params.folder:q} --workers {threads} > {log:q} 2>&1"


rule write_case_browser:
    input:
        [f"{CASES}/{collection}" for collection in COLLECTIONS],
    output:
        f"{CASES}/collections.js",
        [f"{CASES}/assets/{name}" for name in CASE_ASSETS],
        page=f"{CASES}/index.html",
    log:
        f"{RESULTS}/logs/write_case_browser.log",
    benchmark:
        f"{RESULTS}/benchmarks/write_case_browser.tsv"
    localrule: True
    conda:
        "../envs/analysis.yaml"
    resources:
        **needs(1, 10),
    params:
        folder=folder_above(1),
        collections=COLLECTIONS,
        aggregation=CONFIG.figures.aggregation,
        note=[f"--note={CONFIG.diagrams.note}"] if CONFIG.diagrams.note else [],
        code=code_digest("cases.page", "cases.assets"),
    message:
        "Write the page of the case browser"
    shell:
        "python -m evpv_prm.viewer page --folder {params.folder:q}"
        " --collections {params.collections:q} --aggregation {params.aggregation}"
        " {params.note:q} > {log:q} 2>&1"


if CONFIG.step_level:

    rule build_solution_cases:
        input:
            caption=gather.shards(f"{RESULTS}/step_level/caption/{{scatteritem}}.jsonl"),
            direct=gather.shards(f"{RESULTS}/step_level/direct/{{scatteritem}}.jsonl"),
            ablations=expand(
                f"{RESULTS}/ablations/{{configuration}}.jsonl",
                configuration=ABLATION_NAMES,
            ),
            pictures=expand(PICTURES, pictured=SOLUTIONS),
        output:
            directory(f"{CASES}/solutions"),
        log:
            f"{RESULTS}/logs/build_solution_cases.log",
        benchmark:
            f"{RESULTS}/benchmarks/build_solution_cases.tsv"
        conda:
            "../envs/analysis.yaml"
        resources:
            **needs(4, 60),
        params:
            folder=folder_above(1),
            code=code_digest("viewer"),
        message:
            "Build the cases of the labelled solutions"
        shell:
            "python -m evpv_prm.viewer solutions --predictions {input.caption:q}"
            " --direct {input.direct:q} --ablations {input.ablations:q}"
            " --folder {params.folder:q} > {log:q} 2>&1"
