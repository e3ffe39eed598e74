# What the steps are written with. Sourced by helm/e2e/steps, demo/lib.sh and docs/tests/incidents.sh, which
# have set
#   ns      the namespace of the release
#   work    a folder for logs and results, with the data in items.json
#   values  the options of Helm that name the chart's values
# shellcheck shell=bash disable=SC2154

# shellcheck source=loadtest/verdict.sh
. loadtest/verdict.sh
release=janus
pods=app.kubernetes.io/instance=$release,app.kubernetes.io/component=server
service() { printf "http://%s.%s.svc.cluster.local." "$release" "$ns"; }

die() {
  printf '%s: not as it is to be: %s\n' "$0" "$*" >&2
  exit 1
}

saw() { printf '  saw: %s\n' "$*"; }

# same WHAT WANTED GOT
same() {
  [[ $2 == "$3" ]] || die "$1 is to be «$2», and is «$3»"
  saw "$1: $3"
}

k() { kubectl --namespace "$ns" "$@"; }

# refused WORDS COMMAND...: the command fails, and says these words.
refused() {
  local words=$1 said
  shift
  if said=$("$@" 2>&1); then die "not refused: $*"; fi
  [[ $said == *"$words"* ]] || die "refused for another reason than «$words»: $said"
  saw "refused: $words"
}

# eventually SECONDS COMMAND...: the command succeeds in time.
eventually() {
  local deadline=$((SECONDS + $1)) said
  shift
  until said=$("$@" 2>&1); do
    ((SECONDS < deadline)) || die "not in time: $*: $said"
    sleep 0.2
  done
}

# deploy HELM-OPTION...: the chart with the values, until it is ready.
deploy() {
  helm upgrade "$release" helm/janus --install --namespace "$ns" "${values[@]}" \
    --set-file "data.content=$work/items.json" --rollback-on-failure --wait --timeout 120s "$@" > "$work/$release.log" 2>&1 ||
    die "helm upgrade: $(cat "$work/$release.log")"
  settle
}

# Pods that were told to end have ended.
none_ends() {
  local ending
  ending=$(k get pods -l "$pods" -o json | jq -r '.items[] | select(.metadata.deletionTimestamp).metadata.name')
  [[ -z $ending ]] || { printf 'still there: %s' "$ending" && return 1; }
}
settle() { eventually 60 none_ends; }

# The names of the pods, and for each its address.
names() { k get pods -l "$pods" -o json | jq -r '.items[] | select(.metadata.deletionTimestamp | not).metadata.name' | sort; }
addresses() { k get pods -l "$pods" -o json | jq -r '.items[] | select(.metadata.deletionTimestamp | not).status.podIP' | sort; }

# new_client: another pod of the same name. With another address it meets none of the connections that pods which ended
# without a drain have left half open in the node's connection table, where they last for minutes.
new_client() {
  k delete pod client --ignore-not-found > /dev/null
  sed "s/VERSION/$(sed -n 's/^version: //p' helm/janus/Chart.yaml)/" helm/e2e/client.yaml | k apply -f - > /dev/null
  k wait pod/client --for=condition=Ready --timeout=60s > /dev/null
}

# on_each COMMAND...: what it says of each pod, whose address comes last, in one line where all agree.
on_each() {
  local address
  for address in $(addresses); do printf '%s\n' "$("$@" "$address")"; done | sort -u
}

in_client() { k exec client -- "$@"; }
get() { in_client /busybox wget -q -O - "$@"; }
# header NAME URL
header() { in_client /busybox wget -S -O /dev/null "$2" 2>&1 | sed -n "s/^ *$1: //Ip"; }

# reload TOKEN ADDRESS: asks a pod to reload; the status. The token comes by standard input, not by the command line.
reload() {
  printf 'POST /-/reload HTTP/1.1\r\nHost: janus\r\nAuthorization: Bearer %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n' "$1" |
    k exec -i client -- /busybox nc "$2" 9090 | sed -n '1s/^HTTP\/1.1 \([0-9]*\).*/\1/p'
}

# Data is looked for rather than waited for: when the kubelet brings it is the kubelet's affair.
items() { get "http://$1:8080/items"; }
last_reload() { get "http://$1:9090/metrics" | grep '^janus_last_reload_successful '; }
failure_shows() { [[ $(on_each last_reload) == 'janus_last_reload_successful 0' ]]; }

# Where requests come from, and what they ask for: the client's pod, and the Service.
targets() { printf 'GET %s/items\nGET %s/items/1\n' "$(service)" "$(service)"; }
ready_attack() { new_client; }
attack() { k exec -i client -- /vegeta attack "$@"; }
end_attacks() { in_client /busybox killall -INT vegeta; }

# It answers as if nothing had happened: the nodes have learned of the pods that came and went before.
is_calm() {
  local report
  report=$(targets | attack -rate=50 -duration=1s -timeout=1s -keepalive=false | vegeta report -type=json)
  jq -e '.success == 1' <<< "$report" > /dev/null || { printf '%s' "$report" && return 1; }
}

# load OPTION...: sends requests at a fixed rate, whatever becomes of the answers, until end_load; for 5 minutes at most.
loads=()
load() {
  local results=$work/load.${#loads[@]}
  targets | attack -duration=300s -timeout=10s -max-body=0 "$@" > "$results" 2> "$results.log" &
  loads+=($!)
  eventually 20 test -s "$results"
}

# end_load: sets `sent` and `failed`, and says what was seen. The results stay in $work/load.*.
end_load() {
  local index results=()
  end_attacks
  for index in "${!loads[@]}"; do
    wait "${loads[index]}" || die "the load: $(cat "$work/load.$index.log")"
    results+=("$work/load.$index")
  done
  loads=()
  verdict "${results[@]}"
  saw "$sent requests, $failed failed"
}

# Requests a second over connections that are kept, and over one each. Half of them ask for all items: where that is a
# megabyte, fewer are as much as the machine that also sends them can carry.
rate_kept=100
rate_new=300

# under_load COMMAND...: runs it while requests come.
under_load() {
  ready_attack
  eventually 60 is_calm
  load "-rate=$rate_kept"
  load "-rate=$rate_new" -keepalive=false
  "$@"
  settle
  end_load
}

# loses_nothing COMMAND...
loses_nothing() {
  under_load "$@"
  ((sent > 500)) || die "only $sent requests were sent"
  ((failed == 0)) || die "$failed of $sent requests failed"
}
