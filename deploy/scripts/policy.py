"""Compares what checkov found (its JSON on standard input) with the exceptions of deploy/policy.txt; both ways.

The scanned files are called SCOPE-NAME.yaml; SCOPE is the first column of the exceptions.
"""

import json
import sys


def exceptions(path):
    """The pairs of scope and check that may stay, each of which has a reason."""
    with open(path, encoding="utf-8") as file:
        lines = [line.split(None, 2) for line in file if line.strip() and not line.startswith("#")]
    without = [line[:2] for line in lines if len(line) < 3]
    if without:
        sys.exit(f"policy: exceptions without a reason: {without}")
    return {(scope, check) for scope, check, _ in lines}


def main(path):
    report = json.load(sys.stdin)
    allowed = exceptions(path)
    found = {}
    for finding in report["results"]["failed_checks"]:
        file = finding["file_path"].rsplit("/", 1)[-1]
        found.setdefault((file.split("-")[0], finding["check_id"]), []).append((file, finding))
    wrong = 0
    for key in sorted(found.keys() - allowed):
        for file, finding in found[key]:
            wrong += 1
            print(f"policy: {file}: {finding['resource']}: {finding['check_id']} {finding['check_name']}")
    for scope, check in sorted(allowed - found.keys()):
        wrong += 1
        print(f"policy: {path}: nothing of {scope} is found by {check} any longer: take the line out")
    if report["summary"]["parsing_errors"] or not report["summary"]["passed"]:
        sys.exit(f"policy: the scan did not read everything: {report['summary']}")
    if wrong:
        sys.exit(1)
    print(f"{report['summary']['passed']} checks passed, {sum(map(len, found.values()))} are excepted with a reason")


main(sys.argv[1])
