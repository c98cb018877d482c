"""Audits requirements.lock for known vulnerabilities; exit code 1 if a package has one.

Usage: python .ci/audit.py PIP_AUDIT requirements.lock
"""

import json
import subprocess
import sys


def judge(report):
    """Return the exit code and the lines that say what was found.

    Args:
        report: what ``pip-audit --format json`` prints, parsed; None: it could not ask the service.
    """
    packages = [] if report is None else report["dependencies"]
    audited = [package for package in packages if "vulns" in package]
    unknown = [package["name"] for package in packages if "vulns" not in package]
    if not audited:
        return 0, ["NOT AUDITED: the service of known vulnerabilities can't be reached from here."]
    lines = [
        f"{package['name']} {package['version']}: {vulnerability['id']}, "
        f"fixed in {', '.join(vulnerability['fix_versions']) or 'no version yet'}"
        for package in audited
        for vulnerability in package["vulns"]
    ]
    code = 1 if lines else 0
    if unknown:
        lines.append(f"NOT AUDITED, for the service does not know them: {', '.join(unknown)}")
    lines.append(f"{len(audited)} packages were audited.")
    return code, lines


def main():
    """Run pip-audit, print what it found, and exit."""
    program, lock = sys.argv[1:]
    command = [program, "--requirement", lock, "--no-deps", "--disable-pip", "--format", "json"]
    outcome = subprocess.run(command, capture_output=True, text=True)
    try:
        report = json.loads(outcome.stdout)
    except ValueError:
        if "ConnectionError" not in outcome.stderr and "Timeout" not in outcome.stderr:
            sys.exit(f"pip-audit failed:\n{outcome.stderr}")
        report = None
    code, lines = judge(report)
    print("\n".join(lines))
    sys.exit(code)


if __name__ == "__main__":
    main()
