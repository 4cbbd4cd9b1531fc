#!/usr/bin/env bash
# Resolves setup.cfg into requirements/*.txt: one lock with hashes per extra, all of them cut from dev.txt.
# Pins are kept where they still fit; `scripts/lock.sh --upgrade` takes the newest of everything.
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON="${PYTHON:-python3}"
TOOL=.venv-lock

[ -x "$TOOL/bin/python" ] || "$PYTHON" -m venv "$TOOL"
"$TOOL/bin/python" -m pip install --quiet --require-hashes --only-binary :all: -r requirements/lock-tool.txt

compile() { # compile NAME ARGUMENTS...: writes requirements/NAME.txt
    local name=$1
    shift
    echo "lock: requirements/$name.txt" >&2
    # No annotations and no header: they would name the machine's paths and package index.
    "$TOOL/bin/uv" pip compile --quiet --generate-hashes --no-emit-index-url --no-header --no-annotate \
        --python-version 3.11 -c requirements/constraints.txt -o "requirements/$name.txt" "$@"
}

# 1. Everything at once, so that the extras agree.
compile dev setup.cfg --extra serve --extra train --extra spark --extra hdfs --extra s3 --extra kafka --extra fast-kafka \
    --extra demo --extra client --extra dev "$@"
# 2. Each subset, held to the pins of 1.
compile core setup.cfg -c requirements/dev.txt
for extra in serve train spark hdfs s3 kafka fast-kafka client; do
    compile "$extra" setup.cfg --extra "$extra" -c requirements/dev.txt
done
compile demo setup.cfg --extra serve --extra train --extra spark --extra demo -c requirements/dev.txt
# 3. What builds: installed before any source distribution, which then builds without fetching unlocked tools.
printf 'setuptools\nwheel\n' | compile build - -c requirements/dev.txt
# 4. uv itself.
printf 'uv\n' | compile lock-tool - "$@"
# 5. Airflow, in an environment of its own: its pins are not ours, and the two never import each other.
printf 'apache-airflow-core>=3.3,<4\n' | compile airflow - "$@"
# 6. What bench-online compares with: programs that are never in one process with ours, but answer by the same LiteRT.
{ printf '%s\n' mosec litserve mlserver bentoml; grep -o '^ai-edge-litert==[^ ]*' requirements/dev.txt; } | compile peers - "$@"
# 7. What bench-stream compares with: it holds pydantic to older versions than those of 6 ask for.
printf '%s\n' quixstreams numpy | compile stream-peers - "$@"
