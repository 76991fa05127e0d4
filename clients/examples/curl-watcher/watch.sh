#!/usr/bin/env bash
# watch.sh PATH: follows the objects of a collection, for example /apis/otternauts.dev/v1/stacks, and goes on after the server was away.
#
# Prints `LISTED name version` for what is there, then ADDED, MODIFIED and DELETED. When the server has forgotten where we were, it
# begins with LISTED again: forget what is not in that list.
#   OTTER_SERVER  https://127.0.0.1:7443
#   OTTER_CA      its authority, pki/ca.crt of the data directory
#   OTTER_TOKEN   a file with a token
set -euo pipefail
collection=$1

get() { # get QUERY [OPTION...]: the token is told on standard input, so that it shows in no list of processes
  local query=$1
  shift
  printf 'header = "Authorization: Bearer %s"\n' "$(cat "$OTTER_TOKEN")" |
    curl --silent --fail --no-buffer --config - --cacert "$OTTER_CA" --keepalive-time 30 "$@" "$OTTER_SERVER$collection$query"
}

follow() { # follow VERSION: `type name version` of each event; at the end `END - code`, the HTTP status, 000 without an answer
  # The line that a dying connection cut in two is no JSON, and is left out: it comes again.
  get "?watch=true&allowWatchBookmarks=true&resourceVersion=$1" --write-out '\n{"type":"END","code":"%{http_code}"}\n' |
    jq --unbuffered -rR 'fromjson? | "\(.type) \(.object.metadata.name // "-") \(.code // .object.code // .object.metadata.resourceVersion)"'
}

version=
while true; do
  if [[ -z $version ]]; then
    if ! list=$(get ''); then sleep 1; continue; fi
    version=$(jq -r .metadata.resourceVersion <<<"$list")
    jq -r '.items[] | "LISTED \(.metadata.name) \(.metadata.resourceVersion)"' <<<"$list"
  fi
  while read -r type name at; do
    case $type-$at in
      ERROR-410 | END-410) version= ;;
      ERROR-* | END-200) ;; # servers end watches as a matter of course
      END-*) sleep 1 ;;     # away, or busy
      BOOKMARK-*) version=$at ;;
      *) version=$at; printf '%s %s %s\n' "$type" "$name" "$at" ;;
    esac
  done < <(follow "$version" || true)
done
