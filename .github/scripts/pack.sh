#!/usr/bin/env bash
# Pack what `nox -s rebase` or `nox -s refresh` left into result/: verdict, title, report, and the commits as a git bundle.
# pack.sh NAME CODE: which of them, and its exit code. Fails where it broke half-way, and there is nothing to propose.
set -euo pipefail
name=$1 code=$2
mkdir -p result
report=out/$name/report.json
if [ ! -e "$report" ]; then # nothing new, or it could not even begin
  echo nothing > result/verdict
  exit "$code"
fi
field() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$report" "$1"; }
field verdict > result/verdict
field title > result/title
cp "out/$name"/report.* result/
case $(cat result/verdict) in
  ready) tree=. ;;
  "gate failed") tree=out/rebase/candidate ;;
  conflict | blocked) exit 0 ;; # no commits yet
  *)
    echo "::error::the $name did not end"
    exit 1
    ;;
esac
git branch --force proposal "$(git -C "$tree" rev-parse HEAD)"
git bundle create result/commits.bundle proposal
