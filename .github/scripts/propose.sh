#!/usr/bin/env bash
# Put the result of `nox -s rebase` on the branch rebase/next and into one pull request.
# propose.sh CODE BASE: the exit code of the rebase (nox gives 1 for all), and the branch to merge into.
# Ends with 0 when the result is ready or there is none; else with 1, so that the nightly run is red until a person came.
set -euo pipefail
base=$2
branch=rebase/next
report=out/rebase/report.md
bot="webui_fork@fork.invalid"
git config user.name webui_fork
git config user.email "$bot"

if [ ! -e "$report" ]; then # nothing new, or it could not even begin
  exit "$1"
fi
verdict=$(python3 -c 'import json; print(json.load(open("out/rebase/report.json"))["verdict"])')
title="Open WebUI $(python3 -c 'import json; r = json.load(open("out/rebase/report.json")); print(r["new"])')"
case $verdict in
  ready) commit=$(git rev-parse HEAD) ;;
  "gate failed") commit=$(git -C out/rebase/candidate rev-parse HEAD) ;;
  conflict) # the branch has nothing yet but a place to work in
    commit=$(git commit-tree -p HEAD -m "$title waits for a person" "HEAD^{tree}") ;;
  *) # it broke half-way: the log of the step before says how
    echo "::error::$title: the rebase did not end"
    exit 1 ;;
esac

gh auth setup-git
git fetch --quiet origin "+refs/heads/$branch:refs/remotes/origin/$branch" || true
if tip=$(git rev-parse --verify --quiet "refs/remotes/origin/$branch") &&
  [ "$(git log -1 --format=%ce "$tip")" != "$bot" ]; then
  # somebody works there: never overwrite that
  gh pr comment "$branch" --body-file "$report"
else
  git push --quiet --force-with-lease="$branch:${tip:-}" origin "$commit:refs/heads/$branch"
  draft=(); [ "$verdict" = ready ] || draft=(--draft)
  if [ "$(gh pr list --head "$branch" --state open --json number --jq length)" = 0 ]; then
    gh pr create --head "$branch" --base "$base" --title "$title" --body-file "$report" "${draft[@]}"
  else
    gh pr edit "$branch" --title "$title" --body-file "$report"
    if [ "$verdict" = ready ]; then gh pr ready "$branch"; else gh pr ready "$branch" --undo; fi
  fi
  [ "$verdict" != ready ] || gh workflow run ci.yml --ref "$branch"
fi
if [ "$verdict" != ready ]; then
  echo "::error::$title: $verdict. The pull request has the report."
  exit 1
fi
