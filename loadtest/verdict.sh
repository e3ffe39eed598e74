# What became of requests. Sourced by scripts that send them with vegeta.
# shellcheck shell=bash

# verdict RESULTS...: sets `sent` and `failed` from vegeta's files, and shows some of the errors. Whatever has another status
# than 200 has failed.
verdict() {
  local results report
  sent=0 failed=0
  for results in "$@"; do
    report=$(vegeta report -type=json "$results")
    sent=$((sent + $(jq .requests <<< "$report")))
    failed=$((failed + $(jq '.requests - (.status_codes["200"] // 0)' <<< "$report")))
    jq -r '(.errors // [])[:3][] | "  error: " + .' <<< "$report"
  done
}
