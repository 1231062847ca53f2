#!/usr/bin/env bash
# Put a result on its branch (rebase/next, refresh/next), and into one pull request.
# propose.sh FOLDER NAME BASE: what pack.sh left, as rebase or refresh, and the branch to merge into. The branch that is
# pushed to is not taken from the folder: the job that wrote it ran upstream's code.
# Ends with 0 when the result is ready or there is none; else with 1, so that the run is red until a person came.
set -euo pipefail
result=$1 branch=$2/next base=$3
# plain files alone: a link would put a file of this machine's into the pull request
if [ -L "$result" ] || [ -n "$(find "$result" -mindepth 1 ! -type f | head -n 1)" ]; then
  echo "::error::the result has something else than plain files"
  exit 1
fi
bot="webui_fork@fork.invalid"
verdict=$(cat "$result/verdict")
case $verdict in
  nothing) exit 0 ;;
  ready | conflict | blocked | "gate failed") ;;
  *)
    echo "::error::the result has no verdict"
    exit 1
    ;;
esac
title=$(head -n 1 "$result/title")
git config user.name webui_fork
git config user.email "$bot"
if [ -f "$result/commits.bundle" ]; then
  commit=$("$(dirname "$0")/unpack.sh" "$result" "$2" "$base")
else # a conflict, or a release that can't be built: the branch has nothing yet but a place to work in
  commit=$(git commit-tree -p HEAD -m "$title waits for a person" "HEAD^{tree}")
fi

gh auth setup-git
git fetch --quiet origin "+refs/heads/$branch:refs/remotes/origin/$branch" || true
open=$(gh pr list --head "$branch" --state open --json number,isCrossRepository \
  --jq 'map(select(.isCrossRepository | not)) | .[0].number // ""')
tip=$(git rev-parse --verify --quiet "refs/remotes/origin/$branch" || true)
if [ -n "$open" ] && [ -n "$tip" ] && [ "$(git log -1 --format=%ce "$tip")" != "$bot" ]; then
  # somebody works there: never overwrite that; one comment, brought up to date
  gh pr comment "$open" --edit-last --create-if-none --body-file "$result/report.md"
else
  git push --quiet --force-with-lease="$branch:$tip" origin "$commit:refs/heads/$branch"
  draft=()
  [ "$verdict" = ready ] || draft=(--draft)
  if [ -z "$open" ]; then
    gh pr create --head "$branch" --base "$base" --title "$title" --body-file "$result/report.md" "${draft[@]}" || {
      echo "::error::No pull request could be opened for $branch. Settings, Actions, General, Workflow permissions:" \
        "allow GitHub Actions to create pull requests."
      exit 1
    }
  else
    gh pr edit "$open" --title "$title" --body-file "$result/report.md"
    if [ "$verdict" = ready ]; then gh pr ready "$open"; else gh pr ready "$open" --undo; fi
  fi
  [ "$verdict" != ready ] || gh workflow run ci.yml --ref "$branch"
fi
if [ "$verdict" != ready ]; then
  echo "::error::$title: $verdict. The pull request has the report."
  exit 1
fi
