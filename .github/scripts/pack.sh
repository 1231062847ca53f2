#!/usr/bin/env bash
# Pack what `nox -s rebase` left into result/: verdict, version, report, and the commits as a git bundle.
# pack.sh CODE: the exit code of the rebase. Fails where it broke half-way, and there is nothing to propose.
set -euo pipefail
mkdir -p result
report=out/rebase/report.json
if [ ! -e "$report" ]; then # nothing new, or it could not even begin
  echo nothing > result/verdict
  exit "$1"
fi
python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["verdict"])' "$report" > result/verdict
python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["new"])' "$report" > result/version
cp out/rebase/report.md out/rebase/report.html "$report" result/
case $(cat result/verdict) in
  ready) tree=. ;;
  "gate failed") tree=out/rebase/candidate ;;
  conflict) exit 0 ;; # no commits yet
  *)
    echo "::error::the rebase did not end"
    exit 1
    ;;
esac
git branch --force rebase-result "$(git -C "$tree" rev-parse HEAD)"
git bundle create result/commits.bundle rebase-result
