#!/usr/bin/env bash
# Fetch the commits that pack.sh left in a folder, and print the newest.
# unpack.sh FOLDER NAME BASE: as rebase or refresh, and the branch to merge into. The job that wrote the folder ran
# upstream's code, so what a refresh may change is checked here.
set -euo pipefail
result=$1 name=$2 base=$3
if [ -L "$result/commits.bundle" ] || [ ! -f "$result/commits.bundle" ]; then
  echo "::error::the result is no plain file" >&2
  exit 1
fi
git fetch --quiet "$result/commits.bundle" proposal
commit=$(git rev-parse FETCH_HEAD)
place='(lines/[0-9]+(\.[0-9]+)*/)?' # the checkout, or one of its lines
locks="$place(upstream|images/[a-z-]+/[a-z0-9.]+)\.lock|requirements/[a-z0-9.]+\.lock|(docs/)?[A-Za-z.-]+\.md"
kinds=AM
# a refresh is one commit that writes locks and words, whatever the job that made it was talked into
if [ "$name" = refresh ]; then
  if [ "$(git rev-parse "$commit^")" != "$(git rev-parse HEAD)" ]; then
    echo "::error::$base moved meanwhile: run this again" >&2
    exit 1
  fi
  if [ "$(git rev-list --count "HEAD..$commit")" != 1 ]; then
    echo "::error::the refresh is more than one commit" >&2
    exit 1
  fi
else # a rebase writes the series, too, and drops patches with their proofs
  locks="$locks|patches/(series|[a-z0-9-]+\.patch)|tests/proofs/test_[a-z0-9_]+\.py" kinds=AMD
fi
if ! git merge-base HEAD "$commit" > /dev/null || [ -n "$(git rev-list --min-parents=2 "HEAD..$commit")" ]; then
  echo "::error::the $name has another history, or merges one" >&2
  exit 1
fi
# plain files, in all and in each commit, which stays in the history; diff-tree takes a rename for a file that is gone.
# All of it is read: with -q a long list would end git by a signal, and the test would be false
others=$({ git diff-tree -r HEAD "$commit" && git rev-list "HEAD..$commit" | git diff-tree -r --stdin --no-commit-id; } |
  grep -vE "^:[0-9]+ (100644|000000) [0-9a-f.]+ [0-9a-f.]+ [$kinds]"$'\t'"($locks)\$" || true)
if [ -n "$others" ]; then
  echo "::error::the $name changes files that are none of its own" >&2
  exit 1
fi
echo "$commit"
